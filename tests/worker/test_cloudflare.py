"""Cloudflare's own bucket and database with what the release tool does to them."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest
import requests

from commands import Subprocess
from release import site
from release.objects import IMAGE_TYPE, IMMUTABLE
from release.wrangler import wrangler
from tests.standins.wrangler import local_r2
from tests.worker.python_worker import ROOT, PythonWorker, copied
from tests.worker.python_worker import python_worker as new_worker

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("python-worker")]

IMAGE = os.urandom(20_000_000)  # goes up in parts
URL = "/releases/API-for-Cursor-1.2.0-10.dmg"


def test_what_the_release_tool_uploads_is_what_the_worker_serves(tmp_path: Path) -> None:
    bucket = site.settings(ROOT)["r2_buckets"][0]["bucket_name"]
    path = tmp_path / "image.dmg"
    path.write_bytes(IMAGE)
    with local_r2(tmp_path / "r2", name=bucket) as uploaded:
        disposition = 'attachment; filename="API-for-Cursor-1.2.0-10.dmg"'
        store = uploaded.store()
        store.put(URL[1:], path, content_type=IMAGE_TYPE, cache_control=IMMUTABLE, disposition=disposition)
        etag = store.head(URL[1:])
    assert etag is not None
    with new_worker(tmp_path / "worker", tmp_path / "r2/state") as running:
        url = f"http://127.0.0.1:{running.port}{URL}"
        whole = requests.get(url, timeout=60)
        assert (whole.status_code, whole.content == IMAGE) == (200, True)
        assert whole.headers["etag"] == etag.etag
        assert whole.headers["content-length"] == str(len(IMAGE))
        assert whole.headers["content-type"] == IMAGE_TYPE
        assert whole.headers["cache-control"] == IMMUTABLE
        assert whole.headers["content-disposition"] == disposition
        for asked, part in (("bytes=0-0", IMAGE[:1]), ("bytes=9999999-", IMAGE[9_999_999:])):
            answer = requests.get(url, headers={"Range": asked}, timeout=60)
            assert (answer.status_code, answer.content == part) == (206, True)
        assert requests.get(url, headers={"If-None-Match": etag.etag}, timeout=60).status_code == 304


def test_the_bridge_in_its_container_is_waited_for(python_worker: PythonWorker) -> None:
    python_worker.reset({"ENCRYPTION_KEY": "a-long-enough-secret"}, [], keep=False)
    answer = python_worker.tell("container", failures=3)
    assert (answer["status"], answer["body"]) == (200, "8792 hi")
    assert answer["started"]["enableInternet"] is True
    assert len(answer["started"]["env"]["CURSOR_SDK_BRIDGE_TOKEN"]) == 64


def test_migrations_of_a_database_with_people_in_it(tmp_path: Path) -> None:
    migrations = copied(tmp_path) / "worker/migrations"
    later = [path for path in sorted(migrations.glob("*.sql")) if not path.name.startswith("0001")]
    for path in later:
        path.rename(tmp_path / path.name)
    assert "0001_init.sql" in site.migrate(tmp_path, Subprocess(), "local")
    person = "INSERT INTO accounts VALUES ('acct_1', '42', 'a@b.cc', 'Ada', 'c', 'iv', 'WXYZ', 0, 't', 't')"
    token = "INSERT INTO api_keys VALUES ('k', 'acct_1', 'cmp_', 'hash', 'default', 't', NULL, NULL)"
    row = "INSERT INTO request_logs (id, endpoint, status, created_at) VALUES ('r', '/v1', 200, 't')"
    execute(tmp_path, f"{person}; {token}; {row}")
    for path in later:
        (tmp_path / path.name).rename(path)
    said = site.migrate(tmp_path, Subprocess(), "local")
    assert all(path.name in said for path in later)
    query = "SELECT a.cursor_name, k.key_hash FROM accounts a JOIN api_keys k ON k.account_id = a.id"
    assert execute(tmp_path, query) == [{"cursor_name": "Ada", "key_hash": "hash"}]
    assert execute(tmp_path, "SELECT id FROM request_logs") == [{"id": "r"}]
    assert execute(tmp_path, "SELECT count(*) AS n FROM sdk_sessions") == [{"n": 0}]


def execute(root: Path, sql: str) -> list[dict[str, object]]:
    """Run SQL in the local database with wrangler; give the rows of its last statement."""
    tool, config = wrangler(root, Subprocess()), root / site.BUILT / "wrangler.json"
    words = ["d1", "execute", site.DATABASE, "--local", "--persist-to", str(root / site.STATE), "--json"]
    line = [*tool.argv, *words, "--command", sql, "-c", str(config)]
    said = Subprocess().run(line, cwd=config.parent, env=tool.env).stdout.decode()
    found: list[dict[str, object]] = json.loads(said[said.index("[") :])[-1]["results"]
    return found
