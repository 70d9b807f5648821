"""What is asked of pip, npm and uv, and what their failures become."""

from __future__ import annotations

import hashlib
import json
import shutil
import struct
import sys
from pathlib import Path
from typing import Any

import pytest

from commands import Result, Subprocess
from errors import Exit, Fault
from release.inputs import Cache, Pin, bridge_modules, bun, parse, site_packages
from release.inputs import uv as uv_client
from release.inputs.bridge import applies, read_lock, require_present
from release.inputs.bun import host_arch, pin_name
from release.inputs.faults import explain
from release.inputs.node import Npm
from release.inputs.npm import download as npm_download
from release.inputs.pypi import arguments, download, split_tag
from release.inputs.stub import SLICES, fat
from release.inputs.universal import find_slice, merge
from tests.standins.commands import Recorder

WHEEL = Pin(
    name="thing",
    version="1.2",
    source="pypi",
    package="thing-package",
    digest=f"sha256:{hashlib.sha256(b'wheel').hexdigest()}",
    tag="cp311-cp311-macosx_11_0_universal2",
)
TARBALL = Pin(name="bun", version="1", source="npm", package="@a/b", digest=f"sha512-{'A' * 86}==")

PIP_MISMATCH = b"""\
ERROR: THESE PACKAGES DO NOT MATCH THE HASHES FROM THE REQUIREMENTS FILE.
    thing-package==1.2 from a place:
        Expected sha256 0000000000000000000000000000000000000000000000000000000000000000
             Got        1111111111111111111111111111111111111111111111111111111111111111
"""


def fault_of(status: int, text: bytes) -> Fault:
    return explain(Result(("x",), status, b"", text), "a thing", where="here")


@pytest.mark.parametrize(
    ("text", "status"),
    [
        (b"npm error code ENOTFOUND\nnpm error network request to x failed", Exit.NETWORK),
        (b"npm error code EAI_AGAIN", Exit.NETWORK),
        (
            b"WARNING: Temporary failure in name resolution\nERROR: No matching distribution",
            Exit.NETWORK,
        ),
        (b"error: Failed to fetch\n  Caused by: dns error: failed to lookup", Exit.NETWORK),
        (b"npm error code E404\nnpm error 404 Not Found", Exit.INPUT_MISSING),
        (b"npm error code ETARGET\nnpm error notarget No matching version found", Exit.INPUT_MISSING),
        (b"ERROR: No matching distribution found for thing==9", Exit.INPUT_MISSING),
        (b"  x No solution found when resolving dependencies", Exit.INPUT_MISSING),
        (b"npm error code ENOSPC", Exit.DISK),
        (b"OSError: [Errno 28] No space left on device", Exit.DISK),
        (b"npm error code EINTEGRITY", Exit.INPUT_HASH),
        (b"error: Hash mismatch for `six==1.17.0`", Exit.INPUT_HASH),
        (b"something nobody has seen", Exit.NETWORK),
    ],
)
def test_what_a_clients_message_means(text: bytes, status: Exit) -> None:
    caught = fault_of(1, text)
    assert caught.status == status
    assert "a thing" in caught.what


class TestPip:
    def test_its_command_line(self, tmp_path: Path) -> None:
        line = arguments(WHEEL, tmp_path / "r.txt", tmp_path, python="python")
        assert line[:4] == ["python", "-m", "pip", "download"]
        assert {"--no-deps", "--require-hashes", "--only-binary=:all:", "--no-cache-dir"} <= set(line)
        text = " ".join(map(str, line))
        assert "--platform macosx_11_0_universal2" in text
        assert "--implementation cp --python-version 3.11 --abi cp311" in text
        assert split_tag("macosx_11_0_arm64") == ("py3", "none", "macosx_11_0_arm64")

    def test_writes_the_hash_into_the_requirement(self, tmp_path: Path) -> None:
        def reply(argv: tuple[str, ...]) -> None:
            listing = Path(argv[argv.index("--requirement") + 1])
            assert listing.read_text() == f"thing-package==1.2 --hash={WHEEL.digest}\n"
            (tmp_path / "thing.whl").write_bytes(b"wheel")

        assert download(WHEEL, tmp_path, runner=Recorder(reply)) == tmp_path / "thing.whl"

    def test_a_mismatch_names_both_values(self, tmp_path: Path) -> None:
        runner = Recorder(lambda argv: Result(argv, 1, b"", PIP_MISMATCH))
        with pytest.raises(Fault) as caught:
            download(WHEEL, tmp_path, runner=runner)
        assert caught.value.status == Exit.INPUT_HASH
        assert caught.value.details == (f"pinned {WHEEL.digest}", f"found  sha256:{'1' * 64}")

    def test_success_without_a_file_is_none(self, tmp_path: Path) -> None:
        with pytest.raises(Fault) as caught:
            download(WHEEL, tmp_path, runner=Recorder())
        assert caught.value.status == Exit.INPUT_MISSING


class TestNpm:
    CLIENT = Npm(("node", "npm-cli.js"), {"PATH": "/x"})

    def test_asks_by_name_and_our_check_decides(self, tmp_path: Path) -> None:
        def reply(argv: tuple[str, ...]) -> None:
            (tmp_path / "a-b-1.tgz").write_bytes(b"x")

        runner = Recorder(reply)
        assert npm_download(TARBALL, tmp_path, runner=runner, client=self.CLIENT).name == "a-b-1.tgz"
        (call,) = runner.calls
        assert call[:3] == ("node", "npm-cli.js", "pack")
        assert call[-1] == "@a/b@1"
        assert "--ignore-scripts" in call
        assert runner.environments == [self.CLIENT.env]

    def test_failures(self, tmp_path: Path) -> None:
        for text, status in ((b"code E404", Exit.INPUT_MISSING), (b"ECONNREFUSED", Exit.NETWORK)):
            failed = Recorder(lambda argv, text=text: Result(argv, 1, b"", text))  # type: ignore[misc]
            with pytest.raises(Fault) as caught:
                npm_download(TARBALL, tmp_path, runner=failed, client=self.CLIENT)
            assert caught.value.status == status
        with pytest.raises(Fault) as caught:
            npm_download(TARBALL, tmp_path, runner=Recorder(), client=self.CLIENT)
        assert caught.value.status == Exit.INPUT_MISSING


class TestBunPins:
    def test_names(self) -> None:
        assert pin_name("arm64") == "bun-darwin-arm64"
        system = "darwin" if sys.platform == "darwin" else "linux"
        assert pin_name("host") == f"bun-{system}-{host_arch()}"
        with pytest.raises(Fault) as caught:
            host_arch("riscv64")
        assert caught.value.status == Exit.TOOL

    def test_without_a_pin(self, tmp_path: Path) -> None:
        with pytest.raises(Fault) as caught:
            bun(Cache(tmp_path), {}, "arm64", runner=Recorder())
        assert caught.value.status == Exit.CONFIG


class TestSitePackages:
    def test_asks_uv_for_the_mac_and_tidies_up(self, tmp_path: Path) -> None:
        def reply(argv: tuple[str, ...]) -> None:
            target = Path(argv[argv.index("--target") + 1])
            for name in ("pkg/__init__.py", "pkg-1.dist-info/METADATA", "pkg-1.dist-info/RECORD", "bin/tool"):
                (target / name).parent.mkdir(parents=True, exist_ok=True)
                (target / name).write_text("x")
            record = [
                "pkg/__init__.py,sha256=1,2",
                "bin/tool,sha256=2,1",
                "pkg/__pycache__/x.pyc,,",
                '"a,b.py",,',
            ]
            (target / "pkg-1.dist-info/RECORD").write_text("\n".join(record))
            (target / "a,b.py").write_text("x")
            (target / "pkg/__pycache__").mkdir()
            (target / ".lock").touch()

        lock = tmp_path / "app.txt"
        lock.write_text("pkg==1 --hash=sha256:00\n")
        runner = Recorder(reply)
        cache = Cache(tmp_path / "cache")
        made = site_packages(cache, lock, arch="x86_64", python="3.12", runner=runner)
        found = sorted(str(path.relative_to(made)) for path in made.rglob("*") if path.is_file())
        assert found == ["a,b.py", "pkg-1.dist-info/METADATA", "pkg-1.dist-info/RECORD", "pkg/__init__.py"]
        assert (made / "pkg-1.dist-info/RECORD").read_text() == '"a,b.py",,\npkg/__init__.py,,\n'
        assert not (made / "pkg/__pycache__").exists()
        line = " ".join(runner.calls[0])
        assert "--python-platform x86_64-apple-darwin --python-version 3.12" in line
        assert "--require-hashes" in line
        assert (runner.environments[0] or {})["MACOSX_DEPLOYMENT_TARGET"] == "13.0"
        site_packages(cache, lock, arch="x86_64", python="3.12", runner=runner)
        assert len(runner.calls) == 1
        lock.write_text("pkg==2 --hash=sha256:00\n")
        assert site_packages(cache, lock, arch="x86_64", python="3.12", runner=runner) != made

    @pytest.mark.slow
    def test_the_real_lock_gives_the_same_bytes_twice(self, tmp_path: Path) -> None:
        lock = Path(__file__).resolve().parents[2] / "requirements/app.txt"
        states = []
        for name in ("one", "two"):
            made = site_packages(Cache(tmp_path / name), lock, arch="universal2", runner=Subprocess())
            states.append({str(p.relative_to(made)): p.read_bytes() for p in made.rglob("*") if p.is_file()})
        assert states[0] == states[1]
        modules = [data for name, data in states[0].items() if name.endswith(".so")]
        assert modules
        assert all(find_slice(data, each) for data in modules for each in SLICES)
        assert not [name for name in states[0] if name.endswith((".pyc", "INSTALLER"))]
        assert b"linux" not in b"".join(name.encode() for name in states[0] if name.endswith(".so"))

    def test_falls_back_on_the_systems_certificates(self) -> None:
        runner = Recorder(
            lambda argv: None if "--system-certs" in argv else Result(argv, 2, b"", b"UnknownIssuer")
        )
        assert uv_client.run(["uv", "x"], runner=runner).status == 0
        assert runner.calls == [("uv", "x"), ("uv", "x", "--system-certs")]


class TestUniversal:
    @staticmethod
    def thin(index: int, body: bytes) -> bytes:
        return struct.pack("<4sI", b"\xcf\xfa\xed\xfe", SLICES[index].cpu_type) + body

    def test_joins_modules_and_takes_the_rest(self, tmp_path: Path) -> None:
        intel, arm = self.thin(0, b"intel" * 9), self.thin(1, b"arm" * 9)
        for side, content in (("arm", arm), ("intel", intel)):
            (tmp_path / side / "p").mkdir(parents=True)
            (tmp_path / side / "p/m.so").write_bytes(content)
            (tmp_path / side / "p/same.py").write_text("x")
            (tmp_path / side / "p/WHEEL").write_text(side)
            (tmp_path / side / "p/both.so").write_bytes(fat([(SLICES[0], intel), (SLICES[1], arm)]))
        (tmp_path / "out").mkdir()
        merge(tmp_path / "arm", tmp_path / "intel", tmp_path / "out")
        joined = (tmp_path / "out/p/m.so").read_bytes()
        assert (find_slice(joined, SLICES[0]), find_slice(joined, SLICES[1])) == (intel, arm)
        assert (tmp_path / "out/p/both.so").read_bytes() == joined
        assert (tmp_path / "out/p/WHEEL").read_text() == "arm"
        (tmp_path / "arm/only.so").write_bytes(arm)
        with pytest.raises(Fault) as caught:
            merge(tmp_path / "arm", tmp_path / "intel", tmp_path / "out")
        assert (caught.value.status, caught.value.where) == (Exit.BUNDLE, "only.so")


LOCK: dict[str, Any] = {
    "lockfileVersion": 3,
    "packages": {
        "": {"name": "x"},
        "node_modules/a": {"version": "1.0.0", "integrity": "sha512-x"},
        "node_modules/a/node_modules/b": {"version": "2.0.0", "integrity": "sha512-x"},
        "node_modules/a-linux": {
            "version": "1.0.0",
            "integrity": "sha512-x",
            "optional": True,
            "os": ["linux"],
            "cpu": ["x64"],
        },
        "node_modules/a-darwin": {
            "version": "1.0.0",
            "integrity": "sha512-x",
            "optional": True,
            "os": ["darwin"],
        },
    },
}


def install(modules: Path, **versions: str) -> None:
    for name, version in versions.items():
        folder = modules / "/node_modules/".join(part.replace("_", "-") for part in name.split("__"))
        folder.mkdir(parents=True)
        (folder / "package.json").write_text(json.dumps({"version": version}))


class TestBridge:
    @pytest.fixture
    def bridge(self, tmp_path: Path) -> Path:
        folder = tmp_path / "bridge"
        folder.mkdir()
        (folder / "package.json").write_text("{}")
        (folder / "package-lock.json").write_text(json.dumps(LOCK))
        return folder

    def test_names_what_npm_left_out(self, bridge: Path, tmp_path: Path) -> None:
        lock = read_lock(bridge / "package-lock.json")
        modules = tmp_path / "node_modules"
        install(modules, a="1.0.0", a__b="2.0.1")
        with pytest.raises(Fault) as caught:
            require_present(modules, lock, required=["c"], system="linux", cpu="x64")
        assert caught.value.status == Exit.INPUT_MISSING
        assert caught.value.details == (
            "a-linux 1.0.0: not there",
            "a/node_modules/b 2.0.0: 2.0.1",
            "c: not there",
        )
        shutil.rmtree(modules)
        install(modules, a="1.0.0", a__b="2.0.0", a_linux="1.0.0")
        require_present(modules, lock, system="linux", cpu="x64")
        with pytest.raises(Fault):
            require_present(modules, lock, system="darwin", cpu="arm64")

    def test_what_only_another_platforms_packages_want_may_be_left_out(self, tmp_path: Path) -> None:
        def entry(*wants: str, **more: Any) -> dict[str, Any]:
            return {"version": "1", "optional": True, "dependencies": dict.fromkeys(wants, "1"), **more}

        lock = {
            "node_modules/wasm": entry("runtime", os=["freebsd"]),
            "node_modules/runtime": entry("helper"),
            "node_modules/helper": entry(),
        }
        require_present(tmp_path, lock, system="linux", cpu="x64")
        with pytest.raises(Fault, match="3 packages"):
            require_present(tmp_path, lock, system="freebsd", cpu="x64")
        with pytest.raises(Fault, match="2 packages"):
            require_present(
                tmp_path, {**lock, "node_modules/user": entry("helper")}, system="linux", cpu="x64"
            )

    @pytest.mark.parametrize(
        ("entry", "system", "cpu", "wanted"),
        [
            ({}, "linux", "x64", True),
            ({"os": ["!win32"]}, "linux", "x64", True),
            ({"os": ["!linux"]}, "linux", "x64", False),
            ({"os": ["darwin", "linux"], "cpu": ["arm64"]}, "linux", "x64", False),
            ({"libc": ["musl"]}, "linux", "x64", False),
            ({"libc": ["musl"]}, "darwin", "x64", True),
        ],
    )
    def test_which_entries_are_for_a_platform(
        self, entry: dict[str, Any], system: str, cpu: str, wanted: bool
    ) -> None:
        assert applies(entry, system, cpu) is wanted

    def test_lock_files_that_are_none(self, bridge: Path) -> None:
        path = bridge / "package-lock.json"
        bare = {"packages": {"node_modules/a": {"version": "1"}}}
        for text in ("{", "{}", json.dumps(bare)):
            path.write_text(text)
            named = "no integrity" if "packages" in text else "cannot be read"
            with pytest.raises(Fault, match=named) as caught:
                read_lock(path)
            assert caught.value.status == Exit.CONFIG
        path.unlink()
        with pytest.raises(Fault, match="no lock file"):
            read_lock(path)

    def test_asks_npm_for_what_is_locked(self, bridge: Path, tmp_path: Path) -> None:
        def reply(argv: tuple[str, ...]) -> None:
            if "ci" in argv:
                place = next(iter((tmp_path / "cache/tmp").iterdir())) / "fresh"
                install(place / "node_modules", a="1.0.0", a__b="2.0.0", a_linux="1.0.0", a_darwin="1.0.0")
                (place / "node_modules/.package-lock.json").write_text("a registry's address")

        runner = Recorder(reply)
        made = bridge_modules(Cache(tmp_path / "cache"), bridge, runner=runner)
        assert (made / "a/package.json").is_file()
        assert not (made / ".package-lock.json").exists()
        (line,) = (call for call in runner.calls if "ci" in call)
        assert "--ignore-scripts" in line

    def test_a_full_disk_is_only_a_warning_to_npm(self, bridge: Path, tmp_path: Path) -> None:
        said = b"npm warn tar TAR_ENTRY_ERROR ENOSPC: no space left on device, write"
        runner = Recorder(lambda argv: Result(argv, 0, b"", said) if "ci" in argv else None)
        with pytest.raises(Fault) as caught:
            bridge_modules(Cache(tmp_path / "cache"), bridge, runner=runner)
        assert caught.value.status == Exit.DISK

    @pytest.mark.slow
    def test_the_real_npm_skips_in_silence_and_is_found_out(self, tmp_path: Path) -> None:
        bridge = tmp_path / "bridge"
        bridge.mkdir()
        optional = {"is-number": "99.0.0"}
        entry = {"version": "99.0.0", "integrity": f"sha512-{'A' * 86}==", "optional": True}
        root = {"name": "x", "version": "1.0.0", "optionalDependencies": optional}
        (bridge / "package.json").write_text(json.dumps(root))
        lock = {**root, "lockfileVersion": 3, "packages": {"": root, "node_modules/is-number": entry}}
        (bridge / "package-lock.json").write_text(json.dumps(lock))
        for _ in range(2):  # nothing is kept of the first
            with pytest.raises(Fault) as caught:
                bridge_modules(Cache(tmp_path / "cache"), bridge, runner=Subprocess())
            assert caught.value.status == Exit.INPUT_MISSING
            assert caught.value.details == ("is-number 99.0.0: not there",)

    def test_an_integrity_error_is_a_hash_fault(self, bridge: Path, tmp_path: Path) -> None:
        runner = Recorder(lambda argv: Result(argv, 1, b"", b"code EINTEGRITY") if "ci" in argv else None)
        with pytest.raises(Fault) as caught:
            bridge_modules(Cache(tmp_path / "cache"), bridge, runner=runner)
        assert caught.value.status == Exit.INPUT_HASH


def test_a_profile_of_pins_is_a_mapping_by_name() -> None:
    table = {"x": {"version": "1", "source": "npm", "package": "x", "digest": TARBALL.digest}}
    assert parse(table)["x"] == Pin("x", "1", "npm", "x", TARBALL.digest)
