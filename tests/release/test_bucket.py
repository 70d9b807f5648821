import json
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

import pytest
import requests

from errors import Exit, Fault
from release import s3
from release.rehearsal.bucket import Bucket
from release.store import SINGLE_BYTES, Object, S3Store

PLAIN: dict[str, Any] = {"content_type": "text/plain", "cache_control": "public, max-age=60"}
ROOT = Path(__file__).parents[2]


def got(store: S3Store, key: str) -> tuple[Object, bytes]:
    found = store.get(key)
    assert found is not None
    return found


def state(bucket: Bucket) -> dict[str, tuple[Object, bytes]]:
    store = bucket.store()
    return {found.key: got(store, found.key) for found in store.list()}


def test_content_outlives_the_server(tmp_path):
    big = tmp_path / "big"
    big.write_bytes(os.urandom(SINGLE_BYTES + 9))
    with Bucket(tmp_path / "b") as bucket:
        store = bucket.store()
        store.put("a/ä b.txt", b"hello", disposition='attachment; filename="x"', **PLAIN)
        store.put("big", big, **PLAIN)
        store.copy(got(store, "big")[0], "copy", content_type="image/png", cache_control="no-store")
        store.put("gone", b"x", **PLAIN)
        store.delete("gone")
        before = state(bucket)
    assert set(before) == {"a/ä b.txt", "big", "copy"}
    with Bucket(tmp_path / "b") as bucket:
        assert state(bucket) == before  # bytes, etags, times, headers
        assert bucket.store().put("a/ä b.txt", b"2", if_match=before["a/ä b.txt"][0].etag, **PLAIN)


def test_equal_bytes_are_kept_once_and_dropped_with_their_last_object(tmp_path):
    objects = tmp_path / "b" / "objects"
    with Bucket(tmp_path / "b") as bucket:
        store = bucket.store()
        store.put("one", b"same", **PLAIN)
        store.put("two", b"same", **PLAIN)
        assert len(list(objects.iterdir())) == 1
        store.delete("one")
        assert got(store, "two")[1] == b"same"
        store.delete("two")
        assert not list(objects.iterdir())


def test_every_start_has_other_keys_and_old_ones_are_refused(tmp_path):
    with Bucket(tmp_path / "b") as bucket:
        old = (bucket.access_key, bucket.secret_key)
    with Bucket(tmp_path / "b") as bucket:
        assert bucket.access_key != old[0] and bucket.secret_key != old[1]
        store = S3Store(endpoint=bucket.endpoint, bucket=bucket.name, access_key=old[0], secret_key=old[1])
        with pytest.raises(Fault) as caught:
            store.put("k", b"x", **PLAIN)
        assert caught.value.status == Exit.SECRET
        assert requests.get(f"{bucket.endpoint}/{bucket.name}/k", timeout=5).status_code == 403
        assert requests.put(f"{bucket.endpoint}/{bucket.name}/k", b"x", timeout=5).status_code == 403
        assert state(bucket) == {}


def test_it_is_on_loopback_and_silent(tmp_path, capfd):
    with Bucket(tmp_path / "b") as bucket:
        assert bucket.endpoint.startswith("http://127.0.0.1:")
        bucket.store().put("k", b"x", **PLAIN)
        requests.get(bucket.endpoint, timeout=5)
    out, err = capfd.readouterr()
    assert out == err == ""
    with pytest.raises(RuntimeError, match="not running"):
        _ = bucket.endpoint


def test_two_at_once_need_two_names(tmp_path):
    with Bucket(tmp_path / "a", "first") as first, Bucket(tmp_path / "b", "second") as second:
        first.store().put("k", b"1", **PLAIN)
        second.store().put("k", b"2", **PLAIN)
        assert got(first.store(), "k")[1] == b"1"
        with pytest.raises(Fault, match="runs already"):
            Bucket(tmp_path / "c", "first").__enter__()
        assert got(first.store(), "k")[1] == b"1"


def test_what_a_killed_process_left_is_swept_away(tmp_path):
    with Bucket(tmp_path / "b") as bucket:
        bucket.store().put("k", b"x", **PLAIN)
    (tmp_path / "b/objects/.0123456789abcdef").write_bytes(b"half")
    (tmp_path / "b/objects" / ("0" * 64)).write_bytes(b"never in the index")
    (tmp_path / "b/.index-0123").write_text("{")
    with Bucket(tmp_path / "b") as bucket:
        assert got(bucket.store(), "k")[1] == b"x"
        assert len(list((tmp_path / "b/objects").iterdir())) == 1
        assert not list((tmp_path / "b").glob(".index-*"))


@pytest.mark.parametrize("text", ["", "{", "[]", '{"objects": {"k": {"size": 1}}}', '{"objects": 1}'])
def test_an_unreadable_index_is_a_fault(tmp_path, text):
    (tmp_path / "b").mkdir()
    (tmp_path / "b/index.json").write_text(text)
    with pytest.raises(Fault, match="unreadable index") as caught:
        Bucket(tmp_path / "b").__enter__()
    assert "remove the folder" in (caught.value.cure or "")


def test_lost_bytes_are_a_fault_that_names_the_object(tmp_path):
    with Bucket(tmp_path / "b") as bucket:
        bucket.store().put("precious", b"x", **PLAIN)
    for file in (tmp_path / "b/objects").iterdir():
        file.unlink()
    with pytest.raises(Fault, match="precious"):
        Bucket(tmp_path / "b").__enter__()


def test_a_full_disk_refuses_the_write_and_keeps_the_rest(tmp_path, monkeypatch):
    with Bucket(tmp_path / "b") as bucket:
        store = bucket.store()
        store.put("kept", b"1", **PLAIN)

        def full(*_):
            raise OSError(28, "No space left on device")

        with monkeypatch.context() as patch:
            patch.setattr("release.rehearsal.bucket.shutil.copyfileobj", full)
            with pytest.raises(Fault, match="disk is full") as caught:
                store.put("kept", b"2", **PLAIN)
            assert caught.value.status == Exit.DISK
        assert got(store, "kept")[1] == b"1"
        store.put("kept", b"3", **PLAIN)
        before = state(bucket)
    with Bucket(tmp_path / "b") as bucket:
        assert state(bucket) == before


CHILD = """
import sys, threading
from pathlib import Path
from release.rehearsal.bucket import Bucket
with Bucket(Path(sys.argv[1])) as bucket:
    print(bucket.endpoint, bucket.access_key, bucket.secret_key, flush=True)
    threading.Event().wait()
"""


@pytest.mark.slow
@pytest.mark.parametrize("delay", [0.05, 0.21, 0.4])
def test_killed_at_any_moment_it_keeps_what_it_acknowledged(tmp_path, delay, monkeypatch):
    monkeypatch.setattr(s3, "ATTEMPTS", 1)
    child = subprocess.Popen(
        [sys.executable, "-c", CHILD, str(tmp_path / "b")], cwd=ROOT, stdout=subprocess.PIPE, text=True
    )
    try:
        assert child.stdout
        endpoint, access, secret = child.stdout.readline().split()
        store = S3Store(endpoint=endpoint, bucket="releases", access_key=access, secret_key=secret)
        store.put("n", b"0" * 200_000, **PLAIN)
        acknowledged = 0
        timer = threading.Timer(delay, lambda: os.kill(child.pid, signal.SIGKILL))
        timer.start()
        while True:
            try:
                store.put("n", str((acknowledged + 1) % 10).encode() * 200_000, **PLAIN)
            except Fault:
                break
            acknowledged += 1
        timer.join()
    finally:
        child.kill()
        child.wait()
    with Bucket(tmp_path / "b") as bucket:
        found, data = got(bucket.store(), "n")
        assert len(data) == found.size == 200_000 and len(set(data)) == 1
        assert int(data[:1]) in (acknowledged % 10, (acknowledged + 1) % 10)


def test_the_index_is_readable_by_people(tmp_path):
    with Bucket(tmp_path / "b") as bucket:
        bucket.store().put("k", b"x", **PLAIN)
    entry = json.loads((tmp_path / "b/index.json").read_text())["objects"]["k"]
    assert entry["size"] == 1 and entry["headers"]["cache-control"] == "public, max-age=60"


def test_it_starts_quickly_once_imported(tmp_path):
    with Bucket(tmp_path / "b") as bucket:
        bucket.store().put("k", os.urandom(30_000_000), **PLAIN)
    start = time.perf_counter()
    with Bucket(tmp_path / "b"):
        assert time.perf_counter() - start < 0.5  # content is opened, not read
