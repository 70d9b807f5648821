from __future__ import annotations

import importlib
import importlib.util
import marshal
import os
import subprocess
import sys
from importlib.machinery import SourcelessFileLoader
from pathlib import Path
from types import CodeType

import pytest

from release.bundle.compile import compile_file, dump, require_python
from release.bundle.spec import BundleFault

ROOT = Path(__file__).parents[3]
TEXT = '''
"""A module with every kind of constant."""
WORDS = {"alpha", "beta"}
PAIR = (1.5, "two words", b"bytes", None, frozenset({"x", "y"}))
def outer(first, *rest, key="a rather unusual constant", **more):
    inner = lambda value: value in {"alpha", "gamma", 3}
    class Local:
        attribute = "attribute"
    return [inner(item) for item in rest], first, key, more, Local
'''


WORDS = ("PAIR", "Local", "inner", "attribute", "alpha", "two words", "a rather unusual constant")


def pyc_of(text: str, tmp_path: Path, name: str = "app/m.py") -> bytes:
    path = tmp_path / "m.py"
    path.write_text(text)
    return compile_file(path, name)


def test_byte_code_runs_and_names_no_folder(tmp_path: Path) -> None:
    data = pyc_of(TEXT, tmp_path)
    (tmp_path / "module.pyc").write_bytes(data)
    loader = SourcelessFileLoader("module", str(tmp_path / "module.pyc"))
    spec = importlib.util.spec_from_loader("module", loader)
    assert spec is not None
    module = importlib.util.module_from_spec(spec)
    loader.exec_module(module)
    assert module.outer(1, "alpha")[0] == [True]
    assert module.outer.__code__.co_filename == "app/m.py"
    assert str(tmp_path).encode() not in data


def test_header_holds_an_unchecked_hash_and_no_time(tmp_path: Path) -> None:
    data = pyc_of(TEXT, tmp_path)
    assert data[:4] == importlib.util.MAGIC_NUMBER
    assert data[4:8] == b"\1\0\0\0"
    assert data[8:16] == importlib.util.source_hash(TEXT.encode())


def test_bytes_do_not_depend_on_what_else_is_in_memory(tmp_path: Path) -> None:
    """marshal goes by identity; so intern and hold a module's strings, and compile it again."""
    code = compile(TEXT, "app/m.py", "exec")
    before = dump(code)
    naive = marshal.dumps(compile(TEXT, "app/m.py", "exec"))
    held = [sys.intern(word) for word in (*WORDS, "outer.<locals>.Local")]
    again = compile(TEXT, "app/m.py", "exec")
    parts = [again.co_consts, again.co_names, *again.co_consts]
    assert dump(again) == before
    assert marshal.dumps(again) != naive, "if marshal did this by itself, dump would not be needed"
    assert held and parts


def test_another_process_with_another_hash_seed_writes_the_same(tmp_path: Path) -> None:
    path = tmp_path / "m.py"
    path.write_text(TEXT)
    script = (
        "import sys, pathlib\n"
        "from release.bundle.compile import compile_file\n"
        "sys.stdout.buffer.write(compile_file(pathlib.Path(sys.argv[1]), 'app/m.py'))\n"
    )
    made = {
        subprocess.run(
            [sys.executable, "-c", script, str(path)],
            env={**os.environ, "PYTHONHASHSEED": seed, "PYTHONPATH": str(ROOT)},
            capture_output=True,
            check=True,
        ).stdout
        for seed in ("1", "2", "3")
    }
    assert made == {compile_file(path, "app/m.py")}


@pytest.mark.parametrize("name", ["typing", "dataclasses", "pathlib", "email.message", "asyncio.base_events"])
def test_a_process_that_runs_the_module_writes_the_same(name: str) -> None:
    """Here its strings are in memory, from its own .pyc; in a fresh process of few modules most are not."""
    module = importlib.import_module(name)
    path = Path(str(module.__file__))
    script = (
        "import sys, pathlib\n"
        "from release.bundle.compile import compile_file\n"
        "sys.stdout.buffer.write(compile_file(pathlib.Path(sys.argv[1]), 'x.py'))\n"
    )
    fresh = subprocess.run(
        [sys.executable, "-S", "-c", script, str(path)],
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        check=True,
    ).stdout
    assert compile_file(path, "x.py") == fresh


def test_code_inside_code_has_the_short_name_too(tmp_path: Path) -> None:
    code = marshal.loads(pyc_of(TEXT, tmp_path)[16:])
    inside = [constant for constant in code.co_consts if isinstance(constant, CodeType)]
    assert {one.co_filename for one in inside} == {"app/m.py"}


def test_a_syntax_error_is_a_fault_that_names_the_file(tmp_path: Path) -> None:
    with pytest.raises(BundleFault) as caught:
        pyc_of("def f(:\n", tmp_path)
    assert caught.value.where == "app/m.py"


def test_another_python_is_refused() -> None:
    require_python(f"{sys.version_info.major}.{sys.version_info.minor}")
    with pytest.raises(BundleFault, match=r"3\.99"):
        require_python("3.99")
