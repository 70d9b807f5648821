"""app/macos/ against what the pinned PyObjC and Sparkle themselves say is there; nothing of it runs here.

PyObjC's wheels list every constant and function of a framework, and every method that takes or gives more
than objects; Sparkle's framework has its headers. What is only in Apple's own headers, a Mac has to check.
"""

from __future__ import annotations

import ast
import re
import sys
import tomllib
import types
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from commands import Subprocess
from tests.app.conftest import ROOT

pytestmark = pytest.mark.release
FRAMEWORKS = ("AppKit", "CoreFoundation", "Foundation", "ServiceManagement", "UserNotifications", "WebKit")
OWN_ACTIONS = {"choose:", "woke:"}  # ours, sent by our own menu and the notification center
# What PyObjC's own Python adds to a framework, and classes of which no method needs a word about its types.
UNLISTED = {"NSApp", "UNMutableNotificationContent", "UNNotificationRequest"}

Types = dict[str, Any]


@dataclass
class Known:
    """What PyObjC's metadata has: names, and the methods that it knows the types of, by selector."""

    names: dict[str, set[str]] = field(default_factory=dict)
    methods: dict[str, list[Types]] = field(default_factory=lambda: defaultdict(list))


@pytest.fixture(scope="module")
def packages() -> Path:
    from release import inputs

    lock = ROOT / "requirements/app.txt"
    return inputs.site_packages(inputs.Cache(), lock, arch="arm64", runner=Subprocess())


@pytest.fixture(scope="module")
def headers() -> str:
    from release import inputs

    table = tomllib.loads((ROOT / "release.toml").read_text())["inputs"]["rehearsal"]
    framework = inputs.sparkle(inputs.Cache(), inputs.parse(table), runner=Subprocess())
    text = "\n".join(path.read_text("utf-8") for path in sorted((framework / "Headers").glob("*.h")))
    return re.sub(r"/\*.*?\*/|//[^\n]*", "", text, flags=re.DOTALL)


@pytest.fixture(scope="module")
def known(packages: Path) -> Known:
    found = Known()
    for framework in FRAMEWORKS:
        found.names[framework] = set(_read(packages / framework / "_metadata.py", found.methods))
    found.names["Foundation"] |= found.names["CoreFoundation"]
    found.names["AppKit"] |= found.names["Foundation"]
    return found


class Recorder(types.ModuleType):
    """Stands in for `objc` while metadata is read: takes down the methods, and shrugs at the rest."""

    def __init__(self, methods: dict[str, list[Types]], classes: set[str]) -> None:
        super().__init__("objc")
        self.methods, self.classes, self.arch = methods, classes, "arm64"

    def registerMetaDataForSelector(self, owner: bytes, selector: bytes, types: Types) -> None:
        self.classes.add(owner.decode())
        self.methods[selector.decode()].append(types)

    def __getattr__(self, name: str) -> Any:
        if name.startswith("_C_"):
            return b"?"
        return lambda *_arguments, **_more: None


def _read(path: Path, methods: dict[str, list[Types]]) -> Iterator[str]:
    """Run a framework's metadata, which is a Python file; give the names that it has."""
    classes: set[str] = set()
    scope: dict[str, Any] = {"__name__": "_metadata"}
    before = sys.modules.get("objc")
    sys.modules["objc"] = Recorder(methods, classes)
    try:
        exec(compile(path.read_text("utf-8"), path, "exec"), scope)
    finally:
        del sys.modules["objc"]
        if before is not None:
            sys.modules["objc"] = before
    yield from classes
    for table in ("constants", "enums"):
        yield from re.findall(r"(\w+)(?:@[^$]*)?\$", scope.get(table, ""))
    for table in ("functions", "aliases", "misc"):
        yield from scope.get(table, {})


def trees() -> Iterator[tuple[str, ast.Module]]:
    for path in sorted((ROOT / "app/macos").glob("*.py")):
        yield path.name, ast.parse(path.read_text("utf-8"))


def calls() -> Iterator[tuple[str, ast.Call]]:
    """Give every call of a selector that takes arguments: PyObjC writes its colons as underscores."""
    for name, tree in trees():
        for node in ast.walk(tree):
            if (
                isinstance(node, ast.Call)
                and isinstance(node.func, ast.Attribute)
                and node.func.attr.endswith("_")
                and not node.func.attr.startswith("_")
            ):
                yield f"{name}:{node.lineno} {node.func.attr}", node


def selector_of(call: ast.Call) -> str:
    assert isinstance(call.func, ast.Attribute)
    return call.func.attr.replace("_", ":")


def delegates() -> Iterator[tuple[str, int]]:
    """Give the methods that AppKit, WebKit and Sparkle call: selector and number of arguments."""
    for _, tree in trees():
        for owner in ast.walk(tree):
            if isinstance(owner, ast.ClassDef) and any(_is_nsobject(base) for base in owner.bases):
                for node in owner.body:
                    if isinstance(node, ast.FunctionDef):
                        yield node.name.replace("_", ":"), len(node.args.args) - 1


def _is_nsobject(base: ast.expr) -> bool:
    return isinstance(base, ast.Name) and base.id == "NSObject"


def test_every_name_that_is_imported_is_in_its_framework(known: Known, packages: Path) -> None:
    missing = []
    for where, tree in trees():
        for node in ast.walk(tree):
            if isinstance(node, ast.ImportFrom) and node.module in FRAMEWORKS:
                names = {alias.name for alias in node.names} - UNLISTED
                missing += [f"{where}: {node.module}.{name}" for name in names - known.names[node.module]]
    assert missing == []
    helper = (packages / "PyObjCTools/AppHelper.py").read_text("utf-8")
    assert {"def callAfter(", "def runEventLoop("} <= set(re.findall(r"def \w+\(", helper))


def test_the_check_finds_a_name_that_is_not_there(known: Known) -> None:
    assert "NSTerminateLater" in known.names["AppKit"]
    assert "NSTerminateSometime" not in known.names["AppKit"]


def test_a_selector_gets_as_many_arguments_as_it_has_colons() -> None:
    found = list(calls())
    assert len(found) > 40
    wrong = [where for where, call in found if selector_of(call).count(":") != len(call.args)]
    assert wrong == []


def test_delegates_implement_what_exists(known: Known, headers: str) -> None:
    from_sparkle = declared(headers)
    found = dict(delegates())
    assert len(found) > 12
    for selector, arguments in found.items():
        assert selector.count(":") == arguments, selector
        assert selector in OWN_ACTIONS or selector in known.methods or selector in from_sparkle, selector


def test_classes_have_names_that_nothing_else_in_the_process_has() -> None:
    """The Objective-C runtime has one name space; PyObjC refuses a second class of a name."""
    owners = [
        owner.name
        for _, tree in trees()
        for owner in ast.walk(tree)
        if isinstance(owner, ast.ClassDef) and any(_is_nsobject(base) for base in owner.bases)
    ]
    assert len(owners) == len(set(owners)) == 3
    assert all(name.startswith("AFC") for name in owners)


def test_what_gives_an_error_beside_its_result_does_so_in_python_too(known: Known) -> None:
    """The bridge gives (done, error) only where it knows that the last argument is for output."""
    found = [selector_of(call) for _, call in calls() if "Error:" in selector_of(call)]
    assert sorted(found) == ["registerAndReturnError:", "unregisterAndReturnError:"]
    for selector in found:
        assert all(kind["arguments"][2]["type_modifier"] == b"o" for kind in known.methods[selector])


@pytest.mark.parametrize(
    ("selector", "position"),
    [
        ("timerWithTimeInterval:repeats:block:", 4),
        ("requestAuthorizationWithOptions:completionHandler:", 3),
        ("addNotificationRequest:withCompletionHandler:", 3),
        ("webView:decidePolicyForNavigationAction:decisionHandler:", 4),
        ("userNotificationCenter:didReceiveNotificationResponse:withCompletionHandler:", 4),
    ],
)
def test_blocks_have_types_without_which_python_cannot_call_or_be_called(
    known: Known, selector: str, position: int
) -> None:
    used = {selector_of(call) for _, call in calls()} | {name for name, _ in delegates()}
    assert selector in used
    assert all("callable" in kind["arguments"][position] for kind in known.methods[selector])


# -- Sparkle ---------------------------------------------------------------------------------------------

METHOD = re.compile(r"^[-+]\s*\((?P<result>[^;{]*?)\)(?P<rest>[\w\s:()<>*,^]+?);", re.MULTILINE)
PROPERTY = re.compile(r"@property\s*\(([^)]*)\)\s*(?P<type>[^;]*?[\s*])(?P<name>\w+)\s*;")


def declared(headers: str) -> dict[str, tuple[str, ...]]:
    """Give the methods that Sparkle's headers declare: selector → types of result and arguments."""
    found: dict[str, tuple[str, ...]] = {}
    headers = re.sub(r"\b(NS_DESIGNATED_INITIALIZER|NS_UNAVAILABLE|_Nullable|nullable)\b", "", headers)
    for method in METHOD.finditer(headers):
        rest = method["rest"]
        parts = re.findall(r"(\w+)\s*:\s*\(([^()]*(?:\([^()]*\)[^()]*)*)\)\s*\w+", rest)
        selector = "".join(f"{name}:" for name, _ in parts) or rest.strip()
        found[selector] = (method["result"], *(kind for _, kind in parts))
    for one in PROPERTY.finditer(headers):
        found[one["name"]] = (one["type"].strip(),)
        if "readonly" not in one[1]:
            found[f"set{one['name'][0].upper()}{one['name'][1:]}:"] = ("void", one["type"].strip())
    return found


def code(kind: str) -> bytes:
    """Give PyObjC's code for a type in a header."""
    kind = kind.strip()
    return {"BOOL": b"Z", "void": b"v"}.get(kind, b"@" if "*" in kind or kind.startswith("id") else b"?")


def test_sparkles_headers_are_understood(headers: str) -> None:
    found = declared(headers)
    assert found["updater:shouldProceedWithUpdate:updateCheck:error:"][0] == "BOOL"
    assert found["setUpdateCheckInterval:"] == ("void", "NSTimeInterval")
    assert "setCanCheckForUpdates:" not in found


def test_what_is_called_of_sparkle_is_in_its_headers(headers: str) -> None:
    found = declared(headers)
    for selector in (
        "initWithStartingUpdater:updaterDelegate:userDriverDelegate:",
        "startUpdater",
        "updater",
        "checkForUpdates:",
        "setAutomaticallyChecksForUpdates:",
        "displayVersionString",
    ):
        name = selector.replace(":", "_")
        assert selector in found, selector
        assert f".{name}(" in (ROOT / "app/macos/updates.py").read_text("utf-8")
    assert re.search(r"@interface SPUStandardUpdaterController\b", headers)


def test_sparkles_delegate_methods_have_the_types_of_its_headers(headers: str) -> None:
    found = declared(headers)
    types = table_of_types()
    implemented = {name for name, _ in delegates() if name in found}
    assert set(types) == implemented
    for selector, given in types.items():
        assert given == tuple(code(kind) for kind in found[selector]), selector


def table_of_types() -> dict[str, tuple[bytes, ...]]:
    """Read TYPES out of app/macos/updates.py, which cannot be imported here."""
    tree = ast.parse((ROOT / "app/macos/updates.py").read_text("utf-8"))
    wanted: list[ast.stmt] = [
        node
        for node in tree.body
        if (isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Tuple))
        or (isinstance(node, ast.AnnAssign) and getattr(node.target, "id", "") == "TYPES")
    ]
    scope: dict[str, Any] = {}
    exec(compile(ast.Module(wanted, []), "updates", "exec"), scope)
    return {selector.decode(): types for selector, types in scope["TYPES"].items()}
