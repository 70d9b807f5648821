"""Which modules of others the app's own code imports.

The interpreter, the standard library and third-party code are packed once for a given set of imports. So
this set is read from the source without running it: the same imports give the same answer, whatever else
changed in the files.
"""

from __future__ import annotations

import ast
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from release.bundle.spec import BundleFault

OWN = "app"
MISSING = frozenset({"ImportError", "ModuleNotFoundError", "Exception"})


@dataclass(frozen=True, slots=True, order=True)
class Import:
    """One imported thing: `module`, or `name` from it. `optional` if the code goes on without it."""

    module: str
    name: str = ""
    optional: bool = False

    def __str__(self) -> str:
        return self.module + (f":{self.name}" if self.name else "") + ("?" if self.optional else "")

    @property
    def statement(self) -> str:
        """The import as a line of Python."""
        return f"from {self.module} import {self.name}" if self.name else f"import {self.module}"


def imports_of(source: Path) -> tuple[str, ...]:
    """Say what `app/` under `source` imports, sorted: "module", "module:name", with "?" if optional.

    Left out are the app's own modules, `__future__`, and what only a type checker sees. A name taken from a
    module is listed too, as it may be a submodule. Raises BundleFault for a file that doesn't parse.
    """
    return tuple(str(one) for one in scan(source))


def scan(source: Path) -> tuple[Import, ...]:
    """Do what `imports_of` does, as values."""
    found: set[Import] = set()
    for path in sorted((source / OWN).rglob("*.py")):
        found.update(_of_file(path, source))
    needed = {(one.module, one.name) for one in found if not one.optional}
    return tuple(sorted(one for one in found if not (one.optional and (one.module, one.name) in needed)))


def _of_file(path: Path, source: Path) -> Iterator[Import]:
    where = path.relative_to(source).as_posix()
    try:
        tree = ast.parse(path.read_bytes(), where)
    except (SyntaxError, ValueError) as error:
        raise BundleFault("A file of the app is not Python", where=where, details=(str(error),)) from error
    return _walk([tree], optional=False)


def _walk(nodes: Iterable[ast.AST], *, optional: bool) -> Iterator[Import]:
    for node in nodes:
        if isinstance(node, ast.If) and _is_type_checking(node.test):
            yield from _walk(node.orelse, optional=optional)
        elif isinstance(node, ast.Try) and _forgives(node):
            yield from _walk(node.body, optional=True)
            rest = [*node.handlers, *node.orelse, *node.finalbody]
            yield from _walk(rest, optional=optional)
        else:
            yield from _of_node(node, optional)
            yield from _walk(ast.iter_child_nodes(node), optional=optional)


def _of_node(node: ast.AST, optional: bool) -> Iterator[Import]:
    if isinstance(node, ast.Import):
        found = [Import(alias.name, "", optional) for alias in node.names]
    elif isinstance(node, ast.ImportFrom) and not node.level and node.module:
        found = [Import(node.module, alias.name, optional) for alias in node.names]
    elif isinstance(node, ast.Call) and _is_import_module(node):
        found = [Import(str(_literal(node)), "", optional)]
    else:
        return
    yield from (one for one in found if one.module.split(".")[0] not in (OWN, "__future__"))


def _is_type_checking(test: ast.expr) -> bool:
    return getattr(test, "attr", getattr(test, "id", "")) == "TYPE_CHECKING"


def _forgives(node: ast.Try) -> bool:
    """Whether the body may fail to import: a handler catches it."""
    for handler in node.handlers:
        kind = handler.type
        names = kind.elts if isinstance(kind, ast.Tuple) else [kind]
        if any(name is None or getattr(name, "id", "") in MISSING for name in names):
            return True
    return False


def _is_import_module(call: ast.Call) -> bool:
    called = getattr(call.func, "attr", getattr(call.func, "id", ""))
    return called == "import_module" and isinstance(_literal(call), str)


def _literal(call: ast.Call) -> object:
    first = call.args[0] if call.args else None
    text = first.value if isinstance(first, ast.Constant) else None
    return text if isinstance(text, str) and not text.startswith(".") else None
