from __future__ import annotations

from pathlib import Path

import pytest

from errors import Exit
from release.bundle.imports import imports_of, scan
from release.bundle.spec import BundleFault
from tests.release.bundle.tiny import write


def test_lists_others_modules_once_and_in_order(tmp_path: Path) -> None:
    write(
        tmp_path,
        {
            "app/__main__.py": "from __future__ import division\nimport zlib, os.path\nfrom app.x import y\n",
            "app/x/__init__.py": "from . import z\nfrom ..settings import s\nimport os.path\n",
            "app/x/late.py": "def f():\n    import starlette.routing\n    from uvicorn import Config as C\n",
        },
    )
    assert imports_of(tmp_path) == ("os.path", "starlette.routing", "uvicorn:Config", "zlib")


def test_leaves_out_what_only_a_type_checker_sees(tmp_path: Path) -> None:
    text = """
import typing
if typing.TYPE_CHECKING:
    import jinja2
else:
    import html
"""
    write(tmp_path, {"app/a.py": text})
    assert imports_of(tmp_path) == ("html", "typing")


def test_marks_what_may_be_missing(tmp_path: Path) -> None:
    text = """
try:
    import objc
    from AppKit import NSApp
except (ImportError, OSError):
    import fallback
try:
    import needed
except ValueError:
    pass
"""
    write(tmp_path, {"app/a.py": text})
    assert imports_of(tmp_path) == ("AppKit:NSApp?", "fallback", "needed", "objc?")


def test_needed_anywhere_is_needed(tmp_path: Path) -> None:
    write(
        tmp_path,
        {"app/a.py": "try:\n    import x\nexcept ImportError:\n    x = None\n", "app/b.py": "import x\n"},
    )
    assert imports_of(tmp_path) == ("x",)


def test_sees_modules_imported_by_name(tmp_path: Path) -> None:
    text = "import importlib\nimportlib.import_module('json.tool')\nimportlib.import_module(name)\n"
    write(tmp_path, {"app/a.py": text})
    assert imports_of(tmp_path) == ("importlib", "json.tool")


def test_does_not_change_with_the_code_around(tmp_path: Path) -> None:
    write(tmp_path, {"app/a.py": "import json\n\n\ndef f() -> int:\n    return 1\n"})
    before = imports_of(tmp_path)
    write(tmp_path, {"app/a.py": "# new\nimport json\n\n\ndef g() -> str:\n    return '2'\n"})
    assert imports_of(tmp_path) == before == ("json",)


def test_a_file_that_is_not_python_is_named(tmp_path: Path) -> None:
    write(tmp_path, {"app/broken.py": "def f(:\n"})
    with pytest.raises(BundleFault) as caught:
        imports_of(tmp_path)
    assert caught.value.where == "app/broken.py"
    assert caught.value.status == Exit.BUNDLE


def test_gives_the_statements_back(tmp_path: Path) -> None:
    write(tmp_path, {"app/a.py": "import a.b\nfrom c.d import e\n"})
    assert [one.statement for one in scan(tmp_path)] == ["import a.b", "from c.d import e"]


def test_reads_the_apps_own_source() -> None:
    found = imports_of(Path(__file__).parents[3])
    assert {"uvicorn", "starlette.applications:Starlette"} <= set(found)
    assert not any(name.split(".")[0].split(":")[0] == "app" for name in found)
