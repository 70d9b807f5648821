"""What goes wrong on the way to the bucket: each fault once at every request, and what is said of others."""

import os
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from botocore.retries.standard import ExponentialBackoff

from errors import Exit, Fault
from release import s3
from release.objects import FEED_KEY
from release.publish import publish
from release.rehearsal.bucket import Bucket
from release.store import SINGLE_BYTES, S3Store, digest_of
from tests.standins.faulty import (
    Answer,
    Faulty,
    Request,
    Script,
    cut,
    honest,
    lose_answer,
    refusal,
    wrong_etag,
)
from tests.standins.faulty_reader import Reader
from tests.standins.public import image, offered, publication, settled, side
from tests.standins.store import MemoryStore
from tests.standins.wrangler import LocalR2, local_r2

PLAIN: dict[str, Any] = {"content_type": "text/plain", "cache_control": "no-store"}
R2 = pytest.param("r2", marks=[pytest.mark.slow, pytest.mark.xdist_group("r2")])
FAULTS = {
    "500": refusal(500, "InternalError"),
    "503": refusal(503, "SlowDown"),
    "cut": cut,
    "lost": lose_answer,
    "etag": wrong_etag,
}


@pytest.fixture(scope="module", params=["moto", R2])
def bucket(request, tmp_path_factory):
    folder = tmp_path_factory.mktemp("bucket")
    with Bucket(folder, "faults") if request.param == "moto" else local_r2(folder) as running:
        yield running


@pytest.fixture(autouse=True)
def at_once(monkeypatch):
    """Retries wait for seconds otherwise."""
    monkeypatch.setattr(ExponentialBackoff, "delay_amount", lambda *_: 0.001)


@pytest.fixture
def proxy(bucket):
    with Faulty(bucket.endpoint) as running:
        yield running


def through(proxy: Faulty, bucket: Bucket | LocalR2) -> S3Store:
    access: dict[str, Any] = {"access_key": bucket.access_key, "secret_key": bucket.secret_key}
    return S3Store(endpoint=proxy.endpoint, bucket=bucket.name, threads=2, **access)


def once(fault: Script, *, method: str = "", word: str = "") -> Script:
    """Let each request meet the fault the first time that it is made."""
    met: set[tuple[str, str]] = set()

    def script(request: Request) -> Answer | None:
        what = (request.method, request.path)
        if what in met or not (request.method.startswith(method) and word in request.path):
            return request.forward()
        met.add(what)
        return fault(request)

    return script


def publishing(store: S3Store, folder: Path, builds: list[str]) -> None:
    for build in builds:
        publish(side(store), publication(folder, build))


def snapshot(store: S3Store) -> MemoryStore:
    return MemoryStore(objects={entry.key: got for entry in store.list() if (got := store.get(entry.key))})


@pytest.mark.slow
@pytest.mark.parametrize("fault", FAULTS)
def test_a_fault_at_every_request_of_a_publish_is_survived(tmp_path, fault):
    image(tmp_path, "2")
    with Bucket(tmp_path / "bucket", f"publish-{fault}") as bucket:
        publishing(bucket.store(), tmp_path, ["1"])
        with (
            Faulty(bucket.endpoint, once(FAULTS[fault])) as proxy,
            Reader(bucket.store(), tmp_path) as reader,
        ):
            publishing(through(proxy, bucket), tmp_path, ["2"])
        assert not reader.wrong and reader.polls and len(proxy.seen) > 20
        assert offered(snapshot(bucket.store())) == ["2", "1"]
        settled(snapshot(bucket.store()))


@pytest.mark.parametrize("size", [1000, SINGLE_BYTES + 5])
@pytest.mark.parametrize("fault", [name for name in FAULTS if name != "etag"])
def test_a_put_survives_and_creates_once(bucket, proxy, tmp_path, size, fault):
    file = tmp_path / "file"
    file.write_bytes(os.urandom(size))
    store, key = through(proxy, bucket), f"{fault}-{size}"
    proxy.script = once(FAULTS[fault])
    etag = store.put(key, file, if_none_match="*", **PLAIN)
    proxy.script = honest
    found = store.get(key)
    assert found and found[0].etag == etag and digest_of(found[1]) == digest_of(file)
    proxy.script = once(FAULTS[fault])
    other = store.put(key, b"other", if_match=etag, **PLAIN)
    proxy.script = honest
    got = store.get(key)
    assert got and (got[0].etag, got[1]) == (other, b"other")
    with pytest.raises(s3.Changed):
        store.put(key, b"third", if_none_match="*", **PLAIN)


def test_only_the_part_that_was_cut_is_sent_again(bucket, proxy, tmp_path):
    file = tmp_path / "file"
    file.write_bytes(os.urandom(SINGLE_BYTES + 5))
    proxy.script = once(cut, method="PUT", word="partNumber=2")
    through(proxy, bucket).put("cut", file, **PLAIN)
    parts = sorted(
        path.partition("partNumber=")[2][0] for method, path in proxy.seen if "partNumber=" in path
    )
    assert len(parts) == len(set(parts)) + 1 and parts.count("2") == 2


@pytest.mark.parametrize("retried", [False, True])
def test_somebody_elses_object_is_not_taken_for_ours(bucket, proxy, retried):
    theirs = bucket.store()
    theirs.delete("race")

    def overtaken(request: Request) -> Answer | None:
        if request.method != "PUT":
            return request.forward()
        if theirs.head("race") is None:
            theirs.put("race", b"theirs", **PLAIN)
            if retried:
                return refusal(500, "InternalError")(request)
        return request.forward()

    proxy.script = overtaken
    with pytest.raises(s3.Changed):
        through(proxy, bucket).put("race", b"ours", if_none_match="*", **PLAIN)
    assert theirs.get("race")[1] == b"theirs"


@pytest.mark.parametrize(
    ("script", "said"),
    [
        (refusal(403, "RequestTimeTooSkewed", Date="Fri, 01 Jan 2027 00:00:00 GMT"), "clocks differ"),
        (refusal(403, "ExpiredToken"), "has expired"),
        (refusal(400, "ExpiredToken"), "has expired"),
    ],
)
def test_what_only_a_person_can_mend_is_said_and_publishing_goes_on(tmp_path, script, said):
    with Bucket(tmp_path / "bucket", "mend") as bucket:
        publishing(bucket.store(), tmp_path, ["1"])
        image(tmp_path, "2")
        with Faulty(bucket.endpoint) as proxy, Reader(bucket.store(), tmp_path) as reader:
            proxy.script = once(script, method="PUT", word=FEED_KEY)
            with pytest.raises(Fault, match=said) as caught:
                publishing(through(proxy, bucket), tmp_path, ["2"])
            assert caught.value.status == Exit.SECRET and "run it again" in (caught.value.cure or "")
            publishing(through(proxy, bucket), tmp_path, ["2"])
        assert not reader.wrong
        settled(snapshot(bucket.store()))


def test_a_clock_that_is_wrong_is_told_beside_the_buckets(bucket, proxy):
    proxy.script = refusal(403, "RequestTimeTooSkewed", Date="Fri, 01 Jan 2027 00:00:00 GMT")
    with pytest.raises(Fault) as caught:
        through(proxy, bucket).put("k", b"x", **PLAIN)
    assert "Fri, 01 Jan 2027 00:00:00 GMT" in caught.value.details[0]
    assert str(datetime.now(UTC).year) in caught.value.details[1]


def test_a_feed_replaced_in_between_is_merged(tmp_path):
    for build in ("2", "3"):
        image(tmp_path, build)
    with Bucket(tmp_path / "bucket", "between") as bucket:
        publishing(bucket.store(), tmp_path, ["1"])

        def overtake(request: Request) -> Answer | None:
            publishing(bucket.store(), tmp_path, ["2"])
            return request.forward()

        script = once(overtake, method="PUT", word=FEED_KEY)
        with Faulty(bucket.endpoint, script) as proxy, Reader(bucket.store(), tmp_path) as reader:
            publishing(through(proxy, bucket), tmp_path, ["3"])
        assert not reader.wrong
        assert offered(snapshot(bucket.store())) == ["3", "2", "1"]
