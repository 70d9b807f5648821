"""Building bridge.js: deterministic, whole, and without a path of this machine."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest

from commands import Subprocess
from errors import Exit, Fault
from release.bundle.bridge import build_bridge
from tests.app.conftest import ROOT
from tests.standins.commands import Recorder

pytestmark = pytest.mark.release


def test_the_build_is_deterministic(bun: Path, node_modules: Path, bridge_js: Path, tmp_path: Path) -> None:
    moved = tmp_path / "some/other/place"
    shutil.copytree(ROOT / "app/bridge", moved, ignore=shutil.ignore_patterns("dist", "node_modules"))
    modules = tmp_path / "modules/node_modules"
    shutil.copytree(node_modules, modules, symlinks=True)
    build_bridge(moved, modules, bun, tmp_path / "out/bridge.js", runner=Subprocess())
    built = (tmp_path / "out/bridge.js").read_bytes()
    assert built == bridge_js.read_bytes()
    for private in (str(tmp_path), str(node_modules), str(ROOT), os.environ["HOME"] + "/"):
        assert private.encode() not in built
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["bridge.js"]


def test_the_build_needs_its_packages(bun: Path, tmp_path: Path) -> None:
    with pytest.raises(Fault) as caught:
        build_bridge(ROOT / "app/bridge", tmp_path, bun, tmp_path / "bridge.js", runner=Subprocess())
    assert caught.value.status == Exit.INPUT_MISSING


def test_a_build_that_yields_nothing_or_nonsense_is_refused(
    bun: Path, node_modules: Path, tmp_path: Path
) -> None:
    dst = tmp_path / "bridge.js"
    dst.write_text("the one before")
    with pytest.raises(Fault, match="built nothing"):
        build_bridge(ROOT / "app/bridge", node_modules, bun, dst, runner=Recorder())
    broken = tmp_path / "bridge"
    shutil.copytree(ROOT / "app/bridge", broken)
    (broken / "src/main.mjs").write_text("console.log(1)")
    with pytest.raises(Fault, match="not whole"):
        build_bridge(broken, node_modules, bun, dst, runner=Subprocess())
    (broken / "src/main.mjs").write_text("import './absent.mjs'")
    with pytest.raises(Fault, match="ended with status 1"):
        build_bridge(broken, node_modules, bun, dst, runner=Subprocess())
    assert dst.read_text() == "the one before"


def test_a_path_of_this_machine_in_the_build_is_refused(
    bun: Path, node_modules: Path, tmp_path: Path
) -> None:
    leaky = tmp_path / "bridge"
    shutil.copytree(ROOT / "app/bridge", leaky)
    main = leaky / "src/main.mjs"
    main.write_text(main.read_text() + f"\nconsole.error('{leaky}/src');\n")
    with pytest.raises(Fault, match="paths of this machine"):
        build_bridge(leaky, node_modules, bun, tmp_path / "bridge.js", runner=Subprocess())
