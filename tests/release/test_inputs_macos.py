"""What the pinned inputs become: frameworks, Bun, the stub. Most need the real inputs (mark `release`)."""

from __future__ import annotations

import gzip
import hashlib
import plistlib
import shutil
import stat
import struct
import sys
import tomllib
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from pathlib import Path

import pytest

from commands import Result, Subprocess
from errors import Exit, Fault
from release.inputs import (
    Cache,
    Pin,
    bridge_modules,
    bun,
    parse,
    python_prefix,
    sparkle,
    verify_vendor,
)
from release.inputs import stdlib as stdlib_module
from release.inputs.prefix import build_variables, libpython_version, pyconfig, python_facts
from release.inputs.sparkle import broken_seals
from release.inputs.stub import SLICES, stub
from release.inputs.universal import find_slice
from tests.release.test_inputs_pkg import Entries, old_cpio, xar
from tests.standins.commands import Recorder

ROOT = Path(__file__).resolve().parents[2]
RUNNER = Subprocess()
ARM = SLICES[1]


@pytest.fixture(scope="module")
def pins() -> Mapping[str, Pin]:
    return parse(tomllib.loads((ROOT / "release.toml").read_text())["inputs"]["rehearsal"])


@pytest.fixture
def fresh(tmp_path: Path) -> Cache:
    """A cache that has the user's archives, and nothing made from them."""
    (tmp_path / "cache").mkdir()
    (tmp_path / "cache/archives").symlink_to(Cache().root / "archives")
    (Cache().root / "archives").mkdir(parents=True, exist_ok=True)
    return Cache(tmp_path / "cache")


def content(folder: Path) -> dict[str, tuple[int, bytes]]:
    """Everything below a folder: modes and bytes, or targets of links."""
    return {
        str(path.relative_to(folder)): (
            path.lstat().st_mode,
            str(path.readlink()).encode() if path.is_symlink() else path.read_bytes(),
        )
        for path in sorted(folder.rglob("*"))
        if path.is_symlink() or path.is_file()
    }


# From python.org's installer, made here.

VARIABLES = (
    b"build_time_vars = {'VERSION': '3.11', 'HAVE_FORK': 1, 'HAVE_NOT': 0, 'AR': 'x', 'SIZEOF_LONG': 8}\n"
)
FRAMEWORK: dict[str, bytes] = {
    "Python": b"\xcf\xfa\xed\xfe\0v3.11.9\0",
    "Headers/Python.h": b"",
    "Resources/Info.plist": plistlib.dumps({"CFBundleVersion": "3.11.9"}),
    "Resources/Python.app/Contents/MacOS/Python": b"\xcf\xfa\xed\xfe",
    "include/python3.11/pyconfig.h": b"#define X 1\n",
    "lib/libssl.3.dylib": b"ssl",
    "lib/libtcl8.6.dylib": b"tcl",
    "lib/python3.11/os.py": b"x = 1\n",
    "lib/python3.11/json/__init__.py": b"",
    "lib/python3.11/__pycache__/os.cpython-311.pyc": b"x",
    "lib/python3.11/test/test_os.py": b"",
    "lib/python3.11/tkinter/__init__.py": b"",
    "lib/python3.11/site-packages/README.txt": b"",
    "lib/python3.11/lib-dynload/_json.cpython-311-darwin.so": b"so",
    "lib/python3.11/lib-dynload/_tkinter.cpython-311-darwin.so": b"so",
    "lib/python3.11/lib-dynload/_testcapi.cpython-311-darwin.so": b"so",
    "lib/python3.11/_sysconfigdata__darwin_darwin.py": VARIABLES,
    "lib/python3.11/config-3.11-darwin/Makefile": b"# make\n",
    "lib/python3.11/config-3.11-darwin/libpython3.11.a": b"!<arch>",
}


def installer(files: Mapping[str, bytes]) -> bytes:
    entries: Entries = [(f"./Versions/3.11/{name}", 0o100755, data) for name, data in files.items()]
    entries.append(("./Versions/Current", 0o120755, b"3.11"))
    payload = gzip.compress(old_cpio(entries), mtime=0)
    return xar({"Python_Framework.pkg/Payload": payload, "Python_Documentation.pkg/Payload": b"not unpacked"})


def installer_pins(cache: Cache, files: Mapping[str, bytes]) -> dict[str, Pin]:
    """Pins of an installer that already lies in the cache."""
    data = installer(files)
    digest = hashlib.sha256(data).hexdigest()
    place = cache.root / "archives" / f"sha256-{digest}.pkg"
    place.parent.mkdir(parents=True, exist_ok=True)
    place.write_bytes(data)
    url = "https://example.com/python-3.11.9-macos11.pkg"
    only = "Python_Framework.pkg/*"
    return {"python-3.11": Pin("python-3.11", "3.11.9", "url", url, f"sha256:{digest}", only=only)}


class TestInstaller:
    def test_takes_what_is_needed(self, tmp_path: Path) -> None:
        cache = Cache(tmp_path)
        prefix = python_prefix(cache, installer_pins(cache, FRAMEWORK), runner=Recorder())
        assert prefix.parts[-3:] == ("Python.framework", "Versions", "3.11")
        found = {str(path.relative_to(prefix)) for path in prefix.rglob("*") if path.is_file()}
        left_out = (
            "Headers",
            "lib/libtcl",
            "__pycache__",
            "/test/",
            "tkinter",
            "site-packages",
            "_testcapi",
            ".a",
        )
        assert found == {name for name in FRAMEWORK if not any(part in name for part in left_out)} | {
            "Resources/Python.app/Contents/MacOS/Python"
        }
        framework = prefix.parents[1]
        assert (framework / "Versions/Current").readlink() == Path("3.11")
        assert (framework / "Python").read_bytes() == FRAMEWORK["Python"]
        made = python_facts(prefix)
        assert (made.libpython, made.stdlib, made.stdlib_from) == ("3.11.9", "3.11.9", "installer")

    def test_a_package_without_python(self, tmp_path: Path) -> None:
        cache = Cache(tmp_path)
        files = {name: data for name, data in FRAMEWORK.items() if name != "Python"}
        with pytest.raises(Fault, match="holds no") as caught:
            python_prefix(cache, installer_pins(cache, files), runner=Recorder())
        assert caught.value.status == Exit.INPUT_MISSING


class TestParts:
    def test_the_builds_variables_are_read_not_run(self, tmp_path: Path) -> None:
        path = tmp_path / "_sysconfigdata.py"
        path.write_bytes(VARIABLES + b"raise SystemExit('run')\n")
        header = pyconfig(build_variables(path))
        assert "#define HAVE_FORK 1\n" in header
        assert "#define SIZEOF_LONG 8\n" in header
        assert "/* #undef HAVE_NOT */\n" in header
        assert "AR" not in header
        path.write_text("build_time_vars = open('/etc/passwd')\n")
        with pytest.raises(ValueError, match="malformed"):
            build_variables(path)
        path.write_text("x = 1\n")
        with pytest.raises(Fault):
            build_variables(path)

    def test_a_library_of_another_version(self, tmp_path: Path) -> None:
        (tmp_path / "Python").write_bytes(b"\0003.12.10\0")
        assert libpython_version(tmp_path / "Python", "3.12") == "3.12.10"
        with pytest.raises(Fault, match=r"not the library of Python 3\.11") as caught:
            libpython_version(tmp_path / "Python", "3.11")
        assert caught.value.status == Exit.INPUT_MISSING

    def test_the_hosts_library(self, tmp_path: Path) -> None:
        for name in ("os.py", "test/x.py", "a/b.py", "a/x.so", "site-packages/y.py", "EXTERNALLY-MANAGED"):
            (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
            (tmp_path / name).write_text(name)
        assert [name for name, _ in stdlib_module.files(tmp_path)] == ["a/b.py", "os.py"]
        before = stdlib_module.digest(tmp_path)
        (tmp_path / "test/x.py").write_text("other")
        assert stdlib_module.digest(tmp_path) == before
        (tmp_path / "os.py").write_text("other")
        assert stdlib_module.digest(tmp_path) != before

    def test_what_debian_leaves_out_is_added(self, tmp_path: Path) -> None:
        (tmp_path / "host/ctypes").mkdir(parents=True)
        (tmp_path / "host/ctypes/__init__.py").touch()
        stdlib_module.copy(tmp_path / "host", tmp_path / "made")
        (tmp_path / "lib").mkdir()
        (tmp_path / "lib/libx.dylib").touch()
        code = (
            "import sys, ctypes; ctypes.__path__.insert(0, sys.argv[1]); from ctypes.macholib import dyld\n"
            "assert dyld.__file__.startswith(sys.argv[1]) and 'macholib' not in sys.modules\n"
            "print(dyld.dyld_find('@executable_path/libx.dylib', executable_path=sys.argv[2]))"
        )
        line: list[str | Path] = [sys.executable, "-c", code, tmp_path / "made/ctypes", tmp_path / "lib"]
        assert RUNNER.run(line).text.strip() == str(tmp_path / "lib/libx.dylib")
        (tmp_path / "host/ctypes/macholib").mkdir()
        stdlib_module.copy(tmp_path / "host", tmp_path / "other")
        assert not (tmp_path / "other/ctypes/macholib").exists()

    def test_no_interpreter_of_that_version(self) -> None:
        with pytest.raises(Fault, match=r"CPython 3\.99 is needed") as caught:
            stdlib_module.host_stdlib("3.99", runner=Recorder())
        assert caught.value.status == Exit.TOOL

    def test_a_stub_that_does_not_compile(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr("release.inputs.stub.unpack", lambda *_: None)
        runner = Recorder(lambda argv: Result(argv, 1, b"", b"error: no linker"))
        cache = Cache(tmp_path)
        monkeypatch.setattr(cache, "fetch", lambda *_, **__: tmp_path)
        digest = f"sha256:{'0' * 64}"
        systems = [f"zig-{system}-{arch}" for system in ("linux", "darwin") for arch in ("arm64", "x86_64")]
        some = {name: Pin(name, "1", "pypi", "zig", digest, tag="x") for name in systems}
        with pytest.raises(Fault, match="cannot be compiled") as caught:
            stub(cache, some, version="3.11", runner=runner)
        assert (caught.value.status, caught.value.details) == (Exit.BUNDLE, ("error: no linker",))


# The real inputs.


@pytest.mark.release
class TestBun:
    def test_runs_here(self, pins: Mapping[str, Pin]) -> None:
        path = bun(Cache(), pins, "host", runner=RUNNER)
        assert RUNNER.run([path, "--version"]).stdout.strip().decode() == pins["bun-darwin-arm64"].version

    def test_for_the_mac_with_its_vendors_signature(self, pins: Mapping[str, Pin], tmp_path: Path) -> None:
        path = bun(Cache(), pins, "arm64", runner=RUNNER)
        assert find_slice(path.read_bytes()[:4096], ARM)
        verify_vendor(path, "7FRXF46ZSN")
        with pytest.raises(Fault) as caught:
            verify_vendor(path, "BMM5U3QVKW")
        assert caught.value.status == Exit.INPUT_TEAM
        assert caught.value.details[:2] == ("expected team BMM5U3QVKW", "found team    7FRXF46ZSN")
        changed = tmp_path / "bun"
        shutil.copy(path, changed)
        with changed.open("r+b") as file:
            file.seek(5_000_000)
            byte = file.read(1)[0]
            file.seek(5_000_000)
            file.write(bytes([byte ^ 1]))
        with pytest.raises(Fault) as caught:
            verify_vendor(changed, "7FRXF46ZSN")
        assert caught.value.status == Exit.INPUT_TEAM

    def test_a_team_id_in_a_certificate_of_ones_own_is_not_enough(
        self, pins: Mapping[str, Pin], tmp_path: Path
    ) -> None:
        from signing.identity import throwaway
        from signing.plan import plan_app
        from signing.portable import Portable

        app = tmp_path / "Evil.app"
        program = app / "Contents/MacOS/evil"
        program.parent.mkdir(parents=True)
        shutil.copy(stub(Cache(), pins, version="3.11", runner=RUNNER), program)
        info = {"CFBundleIdentifier": "x.evil", "CFBundleExecutable": "evil", "CFBundlePackageType": "APPL"}
        (app / "Contents/Info.plist").write_bytes(plistlib.dumps(info))
        identity = throwaway(tmp_path / "keys", name="Bun", team_id="7FRXF46ZSN")
        signer = Portable(identity, timestamp_url=None, signing_time=datetime(2026, 1, 1, tzinfo=UTC))
        signer.sign_app(plan_app(app, runtimes=()), app, tmp_path / "Signed.app")
        with pytest.raises(Fault) as caught:
            verify_vendor(tmp_path / "Signed.app/Contents/MacOS/evil", "7FRXF46ZSN")
        assert caught.value.details[1] == "found team    7FRXF46ZSN"
        assert "its certificates were not issued by Apple" in caught.value.details


@pytest.mark.release
class TestSparkle:
    def test_links_modes_and_seals(self, fresh: Cache, pins: Mapping[str, Pin]) -> None:
        framework = sparkle(fresh, pins, runner=RUNNER)
        assert (framework / "Versions/Current").readlink() == Path("B")
        links = {path.name for path in framework.iterdir() if path.is_symlink()}
        assert {"Sparkle", "Autoupdate", "Updater.app", "XPCServices", "Headers", "Resources"} <= links
        assert (framework / "Sparkle").resolve().stat().st_mode & 0o111
        assert not (framework / "Resources/Info.plist").resolve().stat().st_mode & 0o111
        assert plistlib.loads((framework / "Resources/Info.plist").read_bytes())[
            "CFBundleShortVersionString"
        ].startswith("2.9.4")
        assert not list(broken_seals(framework))

    def test_a_changed_and_a_missing_file_break_the_seal(
        self, fresh: Cache, pins: Mapping[str, Pin], tmp_path: Path
    ) -> None:
        framework = tmp_path / "Sparkle.framework"
        shutil.copytree(sparkle(fresh, pins, runner=RUNNER), framework, symlinks=True)
        target = framework / "Versions/B/Resources/SUStatus.nib"
        data = bytearray(target.read_bytes())
        data[10] ^= 1
        target.write_bytes(data)
        assert [line.partition(":")[0] for line in broken_seals(framework)] == ["changed"]
        target.unlink()
        assert [line.partition(":")[0] for line in broken_seals(framework)] == ["missing"]


@pytest.mark.release
@pytest.mark.slow
class TestPrefix:
    @pytest.fixture
    def prefixes(self, fresh: Cache, pins: Mapping[str, Pin], tmp_path: Path) -> Iterator[list[Path]]:
        (tmp_path / "second").mkdir()
        (tmp_path / "second/archives").symlink_to(Cache().root / "archives")
        yield [python_prefix(cache, pins, runner=RUNNER) for cache in (fresh, Cache(tmp_path / "second"))]

    def test_is_whole_and_the_same_every_time(self, prefixes: list[Path]) -> None:
        prefix, second = prefixes
        assert content(prefix.parents[1]) == content(second.parents[1])
        assert (python_facts(prefix).libpython, python_facts(prefix).stdlib_from) == ("3.11.9", "host")
        for name in ("Python", "Resources/Python.app/Contents/MacOS/Python"):
            data = (prefix / name).read_bytes()
            assert all(find_slice(data, each) for each in SLICES), name
        library = prefix / "lib/python3.11"
        assert (library / "asyncio/base_events.py").is_file()
        assert (library / "lib-dynload/_ssl.cpython-311-darwin.so").is_file()
        assert (library / "lib-dynload/libssl.3.dylib").is_file()
        assert "#define SIZEOF_LONG 8" in (prefix / "include/python3.11/pyconfig.h").read_text()
        assert plistlib.loads((prefix / "Resources/Info.plist").read_bytes())["CFBundleVersion"] == "3.11.9"
        names = [str(path.relative_to(prefix)) for path in prefix.rglob("*")]
        assert not [name for name in names if "/test/" in name or name.endswith((".pyc", "_testcapi.so"))]
        elf = [path for path in prefix.rglob("*") if path.is_file() and path.read_bytes()[:4] == b"\x7fELF"]
        assert not elf

    def test_the_stub_starts_python(self, fresh: Cache, pins: Mapping[str, Pin]) -> None:
        data = stub(fresh, pins, version="3.11", runner=RUNNER).read_bytes()
        for each in SLICES:
            part = find_slice(data, each)
            assert struct.unpack_from("<I", part, 12)[0] == 2  # MH_EXECUTE
            assert b"/Library/Frameworks/Python.framework/Versions/3.11/Python\0" in part
            assert b"_Py_BytesMain" in part
        assert str(fresh.root).encode() not in data


@pytest.mark.release
@pytest.mark.slow
def test_the_bridges_modules(fresh: Cache) -> None:
    folder = ROOT / "app/bridge"
    before = content(folder / "src")
    lock = (folder / "package-lock.json").read_bytes()
    modules = bridge_modules(fresh, folder, runner=RUNNER, required=["@cursor/sdk"])
    assert (modules / "@cursor/sdk/package.json").is_file()
    assert stat.S_ISDIR(modules.stat().st_mode)
    assert (content(folder / "src"), (folder / "package-lock.json").read_bytes()) == (before, lock)
