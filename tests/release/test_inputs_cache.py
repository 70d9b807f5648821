"""Pins, the cache and downloads from a site; the site is a real server on loopback."""

from __future__ import annotations

import base64
import errno
import hashlib
import io
import os
import signal
import subprocess
import sys
import tarfile
import threading
import time
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path, PurePosixPath
from typing import Any, ClassVar

import pytest
from hypothesis import given
from hypothesis import strategies as st

from commands import Subprocess
from errors import Exit, Fault
from release.inputs import Cache, Pin, parse, require_pinned
from release.inputs.cache import default_root
from release.inputs.pins import Digest, find
from release.inputs.unpack import inside, unpack

ROOT = Path(__file__).resolve().parents[2]
RUNNER = Subprocess()


def archive(**content: bytes) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as target:
        for name, data in content.items():
            target.writestr(name, data)
    return out.getvalue()


@dataclass
class Site:
    """What the server answers: bodies by path, and how many requests it saw."""

    url: str = ""
    bodies: dict[str, bytes] = field(default_factory=dict)
    redirects: dict[str, str] = field(default_factory=dict)
    statuses: dict[str, int] = field(default_factory=dict)
    short: set[str] = field(default_factory=set)
    hits: int = 0

    def pin(self, path: str = "/thing.zip", **more: str) -> Pin:
        digest = f"sha256:{hashlib.sha256(self.bodies.get(path, b'')).hexdigest()}"
        fields: dict[str, Any] = {"digest": digest, **more}
        return Pin(name="thing", version="1", source="url", package=f"{self.url}{path}", **fields)


@pytest.fixture
def site() -> Iterator[Site]:
    site = Site(bodies={"/thing.zip": archive(a=b"A", b=b"B" * 100_000)})

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            site.hits += 1
            if target := site.redirects.get(self.path):
                self.send_response(302)
                self.send_header("Location", target)
                self.end_headers()
                return
            body = site.bodies.get(self.path)
            status = site.statuses.get(self.path, 200 if body is not None else 404)
            self.send_response(status)
            body = body or b""
            self.send_header("Content-Length", str(len(body) + (1000 if self.path in site.short else 0)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        site.url = f"http://127.0.0.1:{server.server_address[1]}"
        thread = threading.Thread(target=server.serve_forever, args=(0.05,))
        thread.start()
        yield site
        server.shutdown()
        thread.join()


@pytest.fixture
def cache(tmp_path: Path) -> Cache:
    return Cache(tmp_path / "cache")


def fault(body: object) -> Fault:
    with pytest.raises(Fault) as caught:
        assert callable(body)
        body()
    assert caught.value.what and "\n" not in caught.value.what
    return caught.value


class TestPins:
    GOOD: ClassVar = {"version": "1", "source": "url", "package": "https://example.com/a.zip", "digest": ""}

    def test_the_projects_own(self) -> None:
        import tomllib

        tables = tomllib.loads((ROOT / "release.toml").read_text())["inputs"]
        rehearsal, production = (parse(tables[name]) for name in ("rehearsal", "production"))
        require_pinned(rehearsal)
        assert {pin.source for pin in rehearsal.values()} == {"pypi", "npm"}
        # Only what its own makers publish there comes from a registry.
        makers = ("@oven/bun-", "htmx.org")
        assert all(pin.source == "url" or pin.package.startswith(makers) for pin in production.values())
        assert find(rehearsal, "bun-darwin-arm64").team_id == find(production, "bun-darwin-arm64").team_id

    @pytest.mark.parametrize(
        ("change", "named"),
        [
            ({"verison": "2"}, "bun.verison is not known"),
            ({"version": 2}, "bun.version must be a string"),
            ({"source": "ftp"}, "bun.source is 'ftp'; allowed: pypi, npm, url"),
            ({"digest": "sha256:abc"}, "bun.digest"),
            ({"digest": "md5:00"}, "neither sha256"),
            ({"digest": "sha512-AAAA"}, "length"),
            ({"package": "http://example.com/a.zip"}, "allowed: an https URL"),
            ({"package": "file:///etc/passwd"}, "allowed: an https URL"),
            ({"source": "pypi", "package": "x"}, "bun.tag is missing"),
            ({"team_id": "ABCDEFGHIJ"}, "needs both team_id and signed"),
            ({"team_id": "abc", "signed": "x"}, "bun.team_id is 'abc'"),
        ],
    )
    def test_names_what_is_wrong(self, change: dict[str, object], named: str) -> None:
        caught = fault(lambda: parse({"bun": {**self.GOOD, **change}}, where="inputs.rehearsal"))
        assert caught.status == Exit.CONFIG
        assert named in caught.what

    def test_names_what_is_missing(self) -> None:
        table = {key: value for key, value in self.GOOD.items() if key != "package"}
        assert "inputs.bun.package is missing" in fault(lambda: parse({"bun": table})).what
        assert "must be a table" in fault(lambda: parse({"bun": 3})).what

    def test_refuses_what_is_not_pinned_yet(self, cache: Cache) -> None:
        pins = parse({"bun": self.GOOD, "other": {**self.GOOD, "digest": f"sha256:{'0' * 64}"}})
        caught = fault(lambda: require_pinned(pins))
        assert caught.status == Exit.CONFIG
        assert caught.details == ("pin it: bun (a.zip 1) from https://example.com/a.zip",)
        require_pinned(pins, needed=["other"])
        alone = fault(lambda: cache.fetch(pins["bun"], runner=RUNNER))
        assert (alone.status, "pin it" in str(alone)) == (Exit.CONFIG, True)
        assert "there are: bun, other" in str(fault(lambda: find(pins, "zig")))

    @given(st.binary(max_size=200))
    def test_both_ways_of_writing_a_digest(self, data: bytes) -> None:
        for text in (
            f"sha256:{hashlib.sha256(data).hexdigest()}",
            f"sha512-{base64.b64encode(hashlib.sha512(data).digest()).decode()}",
        ):
            assert str(Digest.parse(text)) == text

    @given(st.text(max_size=120))
    def test_no_other_text_is_a_digest(self, text: str) -> None:
        try:
            Digest.parse(text)
        except ValueError:
            return
        pytest.fail(text)


class TestFetch:
    def test_downloads_once(self, cache: Cache, site: Site) -> None:
        first = cache.fetch(site.pin(), runner=RUNNER)
        assert first.read_bytes() == site.bodies["/thing.zip"]
        assert cache.fetch(site.pin(), runner=RUNNER) == first
        assert site.hits == 1
        assert not list((cache.root / "tmp").iterdir())

    def test_tells_progress(self, tmp_path: Path, site: Site) -> None:
        seen: list[tuple[int, int]] = []
        cache = Cache(tmp_path, on_progress=lambda done, total: seen.append((done, total)))
        cache.fetch(site.pin(), runner=RUNNER)
        size = len(site.bodies["/thing.zip"])
        assert seen[-1] == (size, size)

    @pytest.mark.parametrize("damage", ["cut", "flip", "note lost"])
    def test_a_damaged_entry_is_fetched_again_an_intact_one_is_not(
        self, cache: Cache, site: Site, damage: str
    ) -> None:
        path = cache.fetch(site.pin(), runner=RUNNER)
        content = bytearray(path.read_bytes())
        if damage == "cut":
            path.write_bytes(content[:-1])
        elif damage == "flip":
            content[50] ^= 1
            path.write_bytes(content)
        else:
            path.with_name(f"{path.name}.ok").unlink()
        again = cache.fetch(site.pin(), runner=RUNNER)
        assert again.read_bytes() == site.bodies["/thing.zip"]
        assert site.hits == (1 if damage == "note lost" else 2)

    def test_a_wrong_hash_names_both_and_leaves_nothing(self, cache: Cache, site: Site) -> None:
        pin = site.pin(digest=f"sha256:{'1' * 64}")
        caught = fault(lambda: cache.fetch(pin, runner=RUNNER))
        found = hashlib.sha256(site.bodies["/thing.zip"]).hexdigest()
        assert caught.status == Exit.INPUT_HASH
        assert caught.details == (f"pinned sha256:{'1' * 64}", f"found  sha256:{found}")
        assert not list((cache.root / "tmp").iterdir())
        assert not (cache.root / "archives").exists()

    def test_absent_offline_short_and_broken_sites(self, cache: Cache, site: Site) -> None:
        assert fault(lambda: cache.fetch(site.pin("/no.zip"), runner=RUNNER)).status == Exit.INPUT_MISSING
        site.short.add("/thing.zip")
        short = fault(lambda: cache.fetch(site.pin(), runner=RUNNER))
        assert (short.status, site.hits) == (Exit.NETWORK, 3)
        site.bodies["/down.zip"], site.statuses["/down.zip"] = b"", 403
        assert "answers 403" in fault(lambda: cache.fetch(site.pin("/down.zip"), runner=RUNNER)).what
        gone = replace(site.pin(), package="http://127.0.0.1:9/thing.zip")
        caught = fault(lambda: cache.fetch(gone, runner=RUNNER))
        assert caught.status == Exit.NETWORK
        assert caught.cure and "run the same command again" in caught.cure

    def test_redirects(self, cache: Cache, site: Site) -> None:
        site.redirects["/latest.zip"] = "/thing.zip"
        pin = replace(site.pin(), package=f"{site.url}/latest.zip")
        assert cache.fetch(pin, runner=RUNNER).is_file()
        site.redirects["/evil.zip"] = "http://site.invalid/thing.zip"
        pin = replace(site.pin(digest=f"sha256:{'2' * 64}"), package=f"{site.url}/evil.zip")
        caught = fault(lambda: cache.fetch(pin, runner=RUNNER))
        assert (caught.status, "insecure" in caught.what) == (Exit.NETWORK, True)
        site.redirects["/round.zip"] = "/round.zip"
        pin = replace(pin, package=f"{site.url}/round.zip")
        assert "answers 302" in fault(lambda: cache.fetch(pin, runner=RUNNER)).what


class TestTrees:
    def test_unpacks_once_and_heals(self, cache: Cache, site: Site) -> None:
        tree = cache.tree(site.pin(), runner=RUNNER)
        assert (tree / "a").read_bytes() == b"A"
        begun = (tree / "b").stat().st_mtime_ns
        assert cache.tree(site.pin(), runner=RUNNER) == tree
        for spoil in (
            lambda: (tree / "a").write_bytes(b"X"),
            lambda: (tree / "a").unlink(),
            lambda: (tree / "more").touch(),
            lambda: (tree / "a").chmod(0o600),
        ):
            spoil()
            cache.tree(site.pin(), runner=RUNNER)
            assert sorted(path.name for path in tree.iterdir()) == ["a", "b"]
            assert (tree / "a").read_bytes() == b"A"
        assert (tree / "b").stat().st_mtime_ns == begun
        assert site.hits == 1

    def test_a_flipped_archive_is_not_unpacked(self, cache: Cache, site: Site) -> None:
        path = cache.fetch(site.pin(), runner=RUNNER)
        stat = path.stat()
        content = bytearray(path.read_bytes())
        content[60] ^= 1
        path.write_bytes(content)
        os.utime(path, ns=(stat.st_atime_ns, stat.st_mtime_ns))  # a flip that no time betrays
        assert fault(lambda: cache.tree(site.pin(), runner=RUNNER)).status == Exit.INPUT_HASH

    def test_only_what_the_pin_asks_for(self, cache: Cache, site: Site) -> None:
        tree = cache.tree(site.pin(only="a*"), runner=RUNNER)
        assert [path.name for path in tree.iterdir()] == ["a"]
        assert cache.tree(site.pin(), runner=RUNNER) != tree

    def test_a_signature_that_is_asked_for_must_be_there(self, cache: Cache, site: Site) -> None:
        pin = site.pin(team_id="ABCDE12345", signed="nothing")
        caught = fault(lambda: cache.tree(pin, runner=RUNNER))
        assert (caught.status, "holds no nothing" in caught.what) == (Exit.INPUT_MISSING, True)
        pin = site.pin(team_id="ABCDE12345", signed="a")
        caught = fault(lambda: cache.tree(pin, runner=RUNNER))
        assert caught.status == Exit.INPUT_TEAM
        assert caught.details[:2] == ("expected team ABCDE12345", "found team    none")


class TestDerived:
    def test_once_for_each_key(self, cache: Cache) -> None:
        made: list[str] = []

        def build(folder: Path) -> None:
            made.append("x")
            (folder / "file").write_text("x")
            (folder / "link").symlink_to("file")

        first = cache.derived("a/../b \0 key", build)
        assert first.is_relative_to(cache.root)
        assert cache.derived("a/../b \0 key", build) == first
        assert cache.derived("another", build) != first
        assert len(made) == 2
        assert (first / "file").stat().st_mode & 0o777 == 0o644
        assert (first / "file").stat().st_mtime == (first / "link").lstat().st_mtime

    def test_a_failed_build_leaves_nothing(self, cache: Cache) -> None:
        def build(folder: Path) -> None:
            (folder / "half").touch()
            raise Fault("no")

        for _ in range(2):
            assert fault(lambda: cache.derived("k", build)).what == "no"
        assert not list((cache.root / "tmp").iterdir())
        assert not (cache.root / "derived").exists()

    def test_full_and_closed_disks(self, cache: Cache, tmp_path: Path) -> None:
        def build(folder: Path) -> None:
            raise OSError(errno.ENOSPC, "No space left on device")

        caught = fault(lambda: cache.derived("k", build))
        assert (caught.status, "API_FOR_CURSOR_CACHE" in str(caught)) == (Exit.DISK, True)
        (tmp_path / "file").touch()
        caught = fault(lambda: Cache(tmp_path / "file").derived("k", build))
        assert (caught.status, "cannot be written" in caught.what) == (Exit.DISK, True)

    PROGRAM = (
        "import sys, time\nfrom pathlib import Path\nfrom release.inputs import Cache\n"
        "root, log, pause = Path(sys.argv[1]), Path(sys.argv[2]), float(sys.argv[3])\n"
        "def build(folder):\n"
        "    (folder / 'first').write_text('x'); open(log, 'a').write('built\\n')\n"
        "    time.sleep(pause); (folder / 'second').write_text('x')\n"
        "print(sorted(p.name for p in Cache(root).derived('k', build).iterdir()))\n"
    )

    def process(self, root: Path, pause: float) -> subprocess.Popen[str]:
        line = [sys.executable, "-c", self.PROGRAM, str(root), str(root.with_suffix(".log")), str(pause)]
        return subprocess.Popen(line, cwd=ROOT, stdout=subprocess.PIPE, text=True)

    def test_processes_side_by_side_build_once(self, tmp_path: Path) -> None:
        running = [self.process(tmp_path / "cache", 0.2) for _ in range(4)]
        assert {each.communicate()[0] for each in running} == {"['first', 'second']\n"}
        assert (tmp_path / "cache.log").read_text() == "built\n"

    def test_a_killed_process_leaves_nothing_behind(self, tmp_path: Path) -> None:
        running = self.process(tmp_path / "cache", 60)
        log = tmp_path / "cache.log"
        deadline = time.monotonic() + 30
        while not log.exists() and time.monotonic() < deadline:
            time.sleep(0.01)
        running.send_signal(signal.SIGKILL)
        running.wait()
        assert not (tmp_path / "cache/derived").exists()
        assert self.process(tmp_path / "cache", 0).communicate()[0] == "['first', 'second']\n"
        assert not list((tmp_path / "cache/tmp").iterdir())


def test_where_the_cache_is(tmp_path: Path) -> None:
    assert default_root({"API_FOR_CURSOR_CACHE": "/x/y"}) == Path("/x/y")
    home = default_root({"HOME": str(tmp_path)})
    assert home.is_relative_to(tmp_path)
    assert home.name == "api-for-cursor"


class TestUnpack:
    def tar(self, path: Path, *items: tarfile.TarInfo) -> Path:
        with tarfile.open(path, "w:gz") as out:
            for item in items:
                out.addfile(item, io.BytesIO(b"x" * item.size))
        return path

    def item(
        self, name: str, kind: bytes = tarfile.REGTYPE, target: str = "", mode: int = 0o600
    ) -> tarfile.TarInfo:
        item = tarfile.TarInfo(name)
        item.type, item.linkname, item.mode = kind, target, mode
        item.size = 3 if kind == tarfile.REGTYPE else 0
        return item

    def test_links_and_modes(self, tmp_path: Path) -> None:
        (tmp_path / "out").mkdir()
        unpack(
            self.tar(
                tmp_path / "a.tgz",
                self.item("d/x", mode=0o700),
                self.item("d/up", tarfile.SYMTYPE, "../d/x"),
                self.item("e", tarfile.DIRTYPE),
            ),
            tmp_path / "out",
        )
        assert (tmp_path / "out/d/up").readlink() == Path("../d/x")
        assert (tmp_path / "out/d/x").stat().st_mode & 0o111
        assert (tmp_path / "out/e").is_dir()

    @pytest.mark.parametrize(
        ("name", "kind", "target"),
        [
            ("../x", tarfile.REGTYPE, ""),
            ("/x", tarfile.REGTYPE, ""),
            ("a/../../x", tarfile.REGTYPE, ""),
            ("l", tarfile.SYMTYPE, "/etc/passwd"),
            ("l", tarfile.SYMTYPE, "../../x"),
            ("d/l", tarfile.SYMTYPE, "../../x"),
            ("h", tarfile.LNKTYPE, "x"),
            ("p", tarfile.FIFOTYPE, ""),
        ],
    )
    def test_nothing_lands_outside(self, tmp_path: Path, name: str, kind: bytes, target: str) -> None:
        (tmp_path / "out/in").mkdir(parents=True)
        packed = self.tar(tmp_path / "a.tgz", self.item(name, kind, target))
        caught = fault(lambda: unpack(packed, tmp_path / "out/in"))
        assert caught.status == Exit.INPUT_HASH
        assert sorted(path.name for path in tmp_path.rglob("*") if not path.is_dir()) == ["a.tgz"]

    def test_no_file_through_a_link(self, tmp_path: Path) -> None:
        (tmp_path / "out").mkdir()
        packed = self.tar(tmp_path / "a.tgz", self.item("l", tarfile.SYMTYPE, "."), self.item("l/x"))
        assert "more than once" in fault(lambda: unpack(packed, tmp_path / "out")).what

    def test_damaged(self, tmp_path: Path) -> None:
        (tmp_path / "out").mkdir()
        whole = self.tar(tmp_path / "a.tgz", self.item("x")).read_bytes()
        (tmp_path / "b.tgz").write_bytes(whole[: len(whole) // 2])
        (tmp_path / "c.zip").write_bytes(archive(a=b"A" * 1000)[:-40])
        for name in ("b.tgz", "c.zip"):
            caught = fault(lambda name=name: unpack(tmp_path / name, tmp_path / "out"))
            assert caught.status == Exit.INPUT_HASH

    @given(st.lists(st.sampled_from(["..", "a", "b", "."]), max_size=6), st.lists(st.just("d"), max_size=3))
    def test_inside_agrees_with_the_file_system(self, parts: list[str], root: list[str]) -> None:
        name = "/".join(parts) or "."
        base = "/top"
        # Leaving and coming back counts as leaving, so a path may be refused that normpath would accept.
        if inside(PurePosixPath(*root), name):
            path = os.path.normpath("/".join([base, *root, name]))
            assert path == base or path.startswith(f"{base}/")
