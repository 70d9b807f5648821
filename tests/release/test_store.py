import os
import threading
from datetime import UTC, datetime
from typing import Any, cast

import pytest
import requests

from errors import Exit, Fault
from release import s3
from release.doctor.bucket import rights
from release.rehearsal.bucket import Bucket
from release.s3 import Changed
from release.store import SINGLE_BYTES, Object, S3Store, Store, digest_of
from release.upload import PART_BYTES
from tests.standins.store import MemoryStore
from tests.standins.wrangler import local_r2

PLAIN: dict[str, Any] = {"content_type": "text/plain", "cache_control": "public, max-age=60"}


R2 = pytest.param("r2", marks=[pytest.mark.slow, pytest.mark.xdist_group("r2")])


@pytest.fixture(scope="module")
def moto(tmp_path_factory):
    """The rehearsal's server."""
    with Bucket(tmp_path_factory.mktemp("bucket"), "store-tests") as running:
        yield running


@pytest.fixture(scope="module")
def r2(tmp_path_factory):
    """Cloudflare's, as wrangler runs it."""
    with local_r2(tmp_path_factory.mktemp("bucket")) as running:
        yield running


@pytest.fixture(params=["moto", R2])
def bucket(request):
    return request.getfixturevalue(request.param)


@pytest.fixture(params=["moto", R2, "memory"])
def store(request) -> Store:
    if request.param == "memory":
        return MemoryStore()
    real: S3Store = request.getfixturevalue(request.param).store()
    for found in list(real.list()):
        real.delete(found.key)
    return real


def test_what_is_put_is_got_with_its_headers(store):
    etag = store.put("a/ä b+c.txt", b"hello", disposition='attachment; filename="x"', **PLAIN)
    found, data = store.get("a/ä b+c.txt")
    assert data == b"hello" and found == store.head("a/ä b+c.txt")
    assert (found.size, found.etag) == (5, etag)
    assert (found.content_type, found.cache_control) == ("text/plain", "public, max-age=60")
    assert found.disposition == 'attachment; filename="x"'
    assert found.sha256 == digest_of(b"hello")


NOTED = {"who": "Zoë Ünal  <z@example.test>", "odd": " 100 %25\n\t日本 ", "run-id": "7", "empty": ""}


def test_what_is_noted_with_an_object_is_read_as_it_was(store):
    store.put("key", b"one", metadata=NOTED, **PLAIN)
    found = store.head("key")
    assert found.metadata == NOTED and found.sha256 == digest_of(b"one")
    assert store.get("key")[0] == found
    with pytest.raises(TypeError):
        cast(Any, found.metadata)["who"] = "else"
    store.copy(found, "copy", metadata={"from": "Ä"}, **PLAIN)
    store.copy(found, "bare", **PLAIN)
    assert (store.head("copy").metadata, store.head("bare").metadata) == ({"from": "Ä"}, {})
    assert store.head("copy").sha256 == digest_of(b"one")


def test_absence_is_none(store):
    assert store.head("none") is None and store.get("none") is None
    assert list(store.list()) == []
    store.delete("none")
    with pytest.raises(Changed), store.open("none"):
        pass


def test_create_only(store):
    store.put("key", b"one", if_none_match="*", **PLAIN)
    with pytest.raises(Changed) as caught:
        store.put("key", b"two", if_none_match="*", **PLAIN)
    assert caught.value.status == Exit.CONFLICT
    assert store.get("key")[1] == b"one"


def test_replace_if_unchanged(store):
    first = store.put("key", b"one", **PLAIN)
    second = store.put("key", b"two", if_match=first, **PLAIN)
    for stale in (first, '"nothing"'):
        with pytest.raises(Changed):
            store.put("key", b"three", if_match=stale, **PLAIN)
    assert store.get("key")[1] == b"two" and store.head("key").etag == second
    with pytest.raises(Changed):
        store.put("absent", b"x", if_match=first, **PLAIN)


def test_streams_whole_and_in_part(store):
    etag = store.put("key", bytes(range(100)), **PLAIN)
    for start, end in [(0, None), (10, None), (10, 20), (0, 100), (99, 100), (5, 5)]:
        with store.open("key", start=start, end=end, if_match=etag) as chunks:
            assert b"".join(chunks) == bytes(range(100))[start:end]
    with pytest.raises(Changed), store.open("key", if_match='"other"'):
        pass


def test_copies_with_new_headers_and_only_the_object_meant(store):
    store.put("key", b"one", **PLAIN)
    source = store.head("key")
    store.copy(source, "copy", content_type="text/css", cache_control="no-store", disposition="inline")
    found, data = store.get("copy")
    assert data == b"one" and found.sha256 == digest_of(b"one")
    assert (found.content_type, found.cache_control, found.disposition) == ("text/css", "no-store", "inline")
    store.put("key", b"two", **PLAIN)
    with pytest.raises(Changed):
        store.copy(source, "copy", **PLAIN)
    assert store.get("copy")[1] == b"one"


def test_lists_by_prefix(store):
    for key in ["b/2", "a/1", "b/1"]:
        store.put(key, key.encode(), **PLAIN)
    assert [found.key for found in store.list("b/")] == ["b/1", "b/2"]
    assert [found.size for found in store.list()] == [3, 3, 3]


def test_an_empty_file_is_an_object(store, tmp_path):
    empty = tmp_path / "empty"
    empty.touch()
    store.put("empty", empty, **PLAIN)
    assert store.get("empty")[1] == b"" and store.head("empty").size == 0


@pytest.mark.parametrize("size", [1, SINGLE_BYTES, SINGLE_BYTES + 1])
def test_files_arrive_whole_and_progress_adds_up(bucket, tmp_path, size):
    store = bucket.store()
    file = tmp_path / "file"
    file.write_bytes(os.urandom(size))
    seen: list[tuple[int, int]] = []
    store.put("big", file, on_progress=lambda done, total: seen.append((done, total)), **PLAIN)
    with store.open("big") as chunks:
        assert b"".join(chunks) == file.read_bytes()
    assert store.head("big").sha256 == digest_of(file)
    assert seen == sorted(seen) and seen[-1] == (size, size)


def test_parts_are_equal_but_for_the_last(bucket, tmp_path):
    store = bucket.store()
    file = tmp_path / "file"
    file.write_bytes(os.urandom(SINGLE_BYTES + 5))
    sizes = []
    store._client.meta.events.register(
        "before-send.s3.UploadPart", lambda request, **_: sizes.append(int(request.headers["Content-Length"]))
    )
    store.put("parts", file, **PLAIN)
    assert sorted(sizes) == [5, *[PART_BYTES] * (SINGLE_BYTES // PART_BYTES)]
    assert store.head("parts").size == SINGLE_BYTES + 5


def test_conditions_hold_for_what_goes_in_parts(moto, tmp_path):  # local R2 does not look at them there
    store = moto.store()
    file = tmp_path / "file"
    file.write_bytes(os.urandom(SINGLE_BYTES + 5))
    store.put("only", file, if_none_match="*", **PLAIN)
    file.write_bytes(os.urandom(SINGLE_BYTES + 5))
    with pytest.raises(Changed):
        store.put("only", file, if_none_match="*", **PLAIN)
    assert not store._client.list_multipart_uploads(Bucket=store.bucket).get("Uploads")


def test_a_failed_part_leaves_nothing(bucket, tmp_path):
    store = bucket.store()
    file = tmp_path / "file"
    file.write_bytes(os.urandom(SINGLE_BYTES + 5))
    aborted = []

    def fail(request: Any, **_: Any) -> None:
        if "partNumber=2" in request.url:
            raise RuntimeError("no")

    store._client.meta.events.register("before-send.s3.UploadPart", fail)
    store._client.meta.events.register(
        "after-call.s3.AbortMultipartUpload", lambda http_response, **_: aborted.append(http_response)
    )
    with pytest.raises(RuntimeError):
        store.put("failed", file, **PLAIN)
    assert store.head("failed") is None
    assert [answer.status_code for answer in aborted] == [204]


class Sent(Exception):
    def __init__(self, headers: Any, url: str) -> None:
        self.headers = {name.lower(): str(value) for name, value in headers.items()}
        self.url = url


def test_what_r2_needs_is_what_is_sent():
    store = S3Store(endpoint="https://account.invalid", bucket="b", access_key="a", secret_key="s")
    config: Any = store._client.meta.config
    assert config.request_checksum_calculation == config.response_checksum_validation == "when_required"
    assert store._client.meta.region_name == "auto"

    def stop(request, **_):
        raise Sent({name: _plain(value) for name, value in request.headers.items()}, request.url)

    store._client.meta.events.register("before-send.s3", stop)
    with pytest.raises(Sent) as caught:
        store.put("k", b"hello", **PLAIN)
    headers = caught.value.headers
    assert caught.value.url == "https://account.invalid/b/k"
    assert headers["x-amz-checksum-sha256"] == "LPJNul+wow4m6DsqxbninhsWHlwfp0JecwQzYpOLmCQ="
    assert not {"x-amz-trailer", "x-amz-checksum-crc32", "transfer-encoding"} & set(headers)
    assert "aws-chunked" not in headers.get("content-encoding", "")
    assert "/auto/s3/aws4_request" in headers["authorization"]


def _plain(value: Any) -> Any:
    return value.decode() if isinstance(value, bytes) else value


def test_parts_are_sent_without_hashing_them_again():
    store = S3Store(endpoint="https://account.invalid", bucket="b", access_key="a", secret_key="s")
    seen = {}

    def stop(request: Any, **_: Any) -> None:
        seen.update({name.lower(): _plain(value) for name, value in request.headers.items()})
        raise Sent({}, request.url)

    store._client.meta.events.register("before-send.s3", stop)
    with pytest.raises(Sent):
        store._client.upload_part(Bucket="b", Key="k", UploadId="u", PartNumber=1, Body=b"hello")
    assert seen["x-amz-content-sha256"] == "UNSIGNED-PAYLOAD"
    assert not [name for name in seen if name.startswith("x-amz-checksum") or name == "x-amz-trailer"]


def test_the_users_aws_setup_is_not_listened_to(monkeypatch, tmp_path):
    (tmp_path / "config").write_text(
        "[default]\nregion = eu-west-1\nendpoint_url = http://127.0.0.1:1\nbroken"
    )
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "config"))
    monkeypatch.setenv("AWS_PROFILE", "there-is-none")
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "theirs")
    monkeypatch.setenv("AWS_SESSION_TOKEN", "theirs")
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:1")
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:1")
    client = s3.client("http://127.0.0.1:9", "ours", "s")
    assert client.meta.endpoint_url == "http://127.0.0.1:9" and client.meta.region_name == "auto"
    signer = cast(Any, client)._request_signer._credentials
    assert (signer.access_key, signer.token) == ("ours", None)


def test_loopback_goes_round_any_proxy(monkeypatch, bucket):
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:1")
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:1")
    assert bucket.store().head("none") is None


def test_wrong_keys_are_a_secret_fault_and_not_shown(bucket):
    store = S3Store(endpoint=bucket.endpoint, bucket=bucket.name, access_key="wrong", secret_key="hush-hush")
    for call in (lambda: store.head("k"), lambda: store.put("k", b"", **PLAIN), lambda: list(store.list())):
        with pytest.raises(Fault) as caught:
            call()
        assert caught.value.status == Exit.SECRET
        assert "hush-hush" not in str(caught.value) + repr(store)


def test_an_absent_bucket_and_server_are_told_apart(bucket, monkeypatch):
    monkeypatch.setattr(s3, "ATTEMPTS", 1)
    keys = {"access_key": bucket.access_key, "secret_key": bucket.secret_key}
    with pytest.raises(Fault, match="no such bucket") as caught:
        S3Store(endpoint=bucket.endpoint, bucket="no-such-bucket", **keys).put("k", b"", **PLAIN)
    assert caught.value.status == Exit.PUBLISH
    with pytest.raises(Fault, match="cannot be reached") as caught:
        S3Store(endpoint="http://127.0.0.1:1", bucket="b", **keys).head("k")
    assert caught.value.status == Exit.NETWORK


def test_an_unreadable_file_is_a_fault(bucket, tmp_path):
    with pytest.raises(Fault, match="cannot be read"):
        bucket.store().put("k", tmp_path / "absent", **PLAIN)


def test_one_of_many_creators_wins(bucket):
    store = bucket.store()
    store.delete("race")
    won: list[int] = []

    def create(number: int) -> None:
        try:
            store.put("race", str(number).encode(), if_none_match="*", **PLAIN)
            won.append(number)
        except Changed:
            pass

    threads = [threading.Thread(target=create, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(won) == 1
    assert store.get("race")[1] == str(won[0]).encode()


@pytest.mark.slow
@pytest.mark.xdist_group("r2")
def test_a_worker_serves_what_was_put_byte_for_byte(r2, tmp_path):
    file = tmp_path / "file"
    file.write_bytes(os.urandom(SINGLE_BYTES + 5))
    headers = {"content_type": "application/x-apple-diskimage", "cache_control": "max-age=60"}
    etag = r2.store().put("releases/ä b.dmg", file, **headers)
    url = f"{r2.url}/releases/%C3%A4%20b.dmg"
    whole = requests.get(url, timeout=30)
    assert (whole.status_code, whole.content) == (200, file.read_bytes())
    assert (whole.headers["etag"], whole.headers["cache-control"]) == (etag, "max-age=60")
    part = requests.get(url, headers={"Range": f"bytes={SINGLE_BYTES - 3}-"}, timeout=30)
    assert (part.status_code, part.content) == (206, file.read_bytes()[-8:])
    assert part.headers["content-range"] == f"bytes {SINGLE_BYTES - 3}-{SINGLE_BYTES + 4}/{SINGLE_BYTES + 5}"


def test_objects_are_values():
    assert Object("k", 1, '"e"') == Object("k", 1, '"e"')


def test_the_doctor_may_do_there_what_publishing_does(store):
    assert "conditions are kept" in rights(store, datetime.now(UTC))
    assert not list(store.list())
