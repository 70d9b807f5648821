"""The bundle itself, from the pinned inputs: py2app's real output, twice, audited and tried."""

from __future__ import annotations

import shutil
import tomllib
from dataclasses import dataclass
from pathlib import Path

import pytest

from commands import Subprocess
from release import inputs
from release.bundle import machos, thin
from release.bundle.audit import audit
from release.bundle.bridge import build_bridge
from release.bundle.embed import embed
from release.bundle.imports import imports_of
from release.bundle.runtime import build_runtime
from release.bundle.smoke import smoke
from release.bundle.spec import BundleFault, BundleSpec
from release.digests import content_digest
from tests.release.bundle import tiny
from tests.standins.cursor import CursorStandIn

ROOT = Path(__file__).parents[3]
RUNNER = Subprocess()
pytestmark = [pytest.mark.release, pytest.mark.slow, pytest.mark.xdist_group("bundle")]


@dataclass(frozen=True)
class Parts:
    prefix: Path
    packages: Path
    bun: Path
    host_bun: Path
    htmx: Path
    sparkle: Path
    modules: Path


@pytest.fixture(scope="module")
def parts() -> Parts:
    table = tomllib.loads((ROOT / "release.toml").read_text("utf-8"))["inputs"]["rehearsal"]
    cache, pins = inputs.Cache(), inputs.parse(table)
    return Parts(
        prefix=inputs.python_prefix(cache, pins, version=tiny.PYTHON, runner=RUNNER),
        packages=inputs.site_packages(
            cache, ROOT / "requirements/app.txt", arch="arm64", python=tiny.PYTHON, runner=RUNNER
        ),
        bun=inputs.bun(cache, pins, "arm64", runner=RUNNER),
        host_bun=inputs.bun(cache, pins, "host", runner=RUNNER),
        htmx=inputs.htmx(cache, pins, runner=RUNNER),
        sparkle=inputs.sparkle(cache, pins, runner=RUNNER),
        modules=inputs.bridge_modules(cache, ROOT / "app/bridge", runner=RUNNER),
    )


def build(spec: BundleSpec, dst: Path, parts: Parts) -> None:
    build_runtime(spec, dst, prefix=parts.prefix, site_packages=parts.packages, runner=RUNNER, portable=True)


@pytest.fixture(scope="module")
def runtime(parts: Parts, tmp_path_factory: pytest.TempPathFactory) -> Path:
    dst = tmp_path_factory.mktemp("runtime") / "Tiny.app"
    build(tiny.spec(ROOT), dst, parts)
    return dst


@pytest.fixture(scope="module")
def app(parts: Parts, runtime: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("app")
    bridge = folder / "bridge.js"
    build_bridge(ROOT / "app/bridge", parts.modules, parts.host_bun, bridge, runner=RUNNER)
    dst = folder / "Tiny.app"
    embed(
        tiny.spec(ROOT),
        runtime,
        dst,
        bun=parts.bun,
        bridge_js=bridge,
        htmx=parts.htmx,
        sparkle=parts.sparkle,
    )
    return dst


def test_a_second_build_elsewhere_has_the_same_bytes(parts: Parts, runtime: Path, tmp_path: Path) -> None:
    """Another folder, another checkout of the same source, other times."""
    source = tmp_path / "another" / "checkout"
    shutil.copytree(
        ROOT / "app", source / "app", ignore=shutil.ignore_patterns("node_modules", "__pycache__")
    )
    second = tmp_path / "second" / "Tiny.app"
    build(tiny.spec(source), second, parts)
    assert content_digest(second) == content_digest(runtime)


def test_the_runtime_has_nothing_of_the_app(runtime: Path) -> None:
    assert not (runtime / f"Contents/Resources/lib/python{tiny.PYTHON}/app").exists()
    archive = (runtime / f"Contents/Resources/lib/python{tiny.PYTHON.replace('.', '')}.zip").read_bytes()
    assert b"starlette/applications.pyc" in archive
    assert b"uvicorn/loops/uvloop.pyc" in archive
    assert b"starlette-" in archive, "the packages' metadata and licences are missing"
    for left_out in (b"unittest/", b"tkinter/", b"app/__main__.pyc"):
        assert left_out not in archive


def test_the_whole_app_passes_the_audit(app: Path, parts: Parts) -> None:
    findings = audit(app, arch="arm64", python=tiny.PYTHON, host_paths=[ROOT, parts.prefix, parts.packages])
    assert findings == []
    natives = [path for path in thin.files(app) if thin.slices_of(path)]
    assert len(natives) > 50
    assert {one.arch for path in natives for one in thin.slices_of(path)} == {"arm64"}


def test_the_packaged_server_works_on_its_own_byte_code(app: Path, parts: Parts) -> None:
    with CursorStandIn() as cursor:
        report = smoke(
            app, bun=parts.host_bun, cursor_url=cursor.url, expected="Hello from the stand-in", native=False
        )
    assert report.ok, "\n".join(f"{row.name}: {row.detail}" for row in report.rows)


def test_a_module_that_was_not_packed_is_noticed_by_trying(app: Path, parts: Parts, tmp_path: Path) -> None:
    """The audit cannot see it: every file that is there is right."""
    broken = tmp_path / "Tiny.app"
    shutil.copytree(app, broken, symlinks=True)
    loader = f"Contents/Resources/lib/python{tiny.PYTHON}/lib-dynload/uvloop"
    shutil.rmtree(broken / loader)
    assert audit(broken, arch="arm64", python=tiny.PYTHON) == []
    with CursorStandIn() as cursor:
        report = smoke(broken, bun=parts.host_bun, cursor_url=cursor.url, native=False)
    assert [row.detail for row in report.rows if not row.ok] == ["it did without uvloop.loop"]


def test_an_import_that_no_package_has_stops_the_build(parts: Parts, tmp_path: Path) -> None:
    source = tiny.source(tmp_path / "repository")
    main = source / "app/__main__.py"
    main.write_text(
        main.read_text()
        + "\nimport no_such_package\ntry:\n    import nor_this\nexcept ImportError:\n    pass\n"
    )
    assert "nor_this?" in imports_of(source)
    with pytest.raises(BundleFault) as caught:
        build(tiny.spec(source), tmp_path / "Runtime.app", parts)
    assert caught.value.details == ("no_such_package",)


def test_what_calls_python_back_needs_no_entitlement(app: Path) -> None:
    """PyObjC and ctypes make callbacks of the system's libffi, which has code pages of its own for them.

    With another libffi they would write code at run time, which the hardened runtime forbids without an
    entitlement (signing/entitlements.py).
    """
    natives = app / f"Contents/Resources/lib/python{tiny.PYTHON}/lib-dynload"
    for name in ("objc/_objc.so", "_ctypes.so"):
        (image,) = machos.images(natives / name)
        assert "/usr/lib/libffi.dylib" in image.loads
        assert b"_ffi_closure_alloc\0" in (natives / name).read_bytes()
