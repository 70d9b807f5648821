"""Stands in for PyObjC: takes down every message, checks it as the bridge would, and lets Python classes be.

It knows nothing of what AppKit does. With it, the lines of app/macos/ run at least once before a Mac sees
them, and what was said to AppKit can be read.
"""

from __future__ import annotations

import sys
import types
from collections.abc import Callable
from typing import Any

import pytest

MODULES = (
    "AppKit", "Foundation", "PyObjCTools", "PyObjCTools.AppHelper", "ServiceManagement", "UserNotifications",
    "WebKit", "objc",
)  # fmt: skip
Said = tuple[str, str, tuple[Any, ...]]


class Bridge:
    """All that was said, in order, as (receiver, selector, arguments); and what to answer."""

    def __init__(self) -> None:
        self.said: list[Said] = []
        self.answers: dict[str, Any] = {}
        self.classes: set[str] = set()

    def of(self, selector: str) -> list[tuple[Any, ...]]:
        """Give the arguments of every message with this selector."""
        return [arguments for _, name, arguments in self.said if name == selector]

    def tell(self, receiver: str, name: str, arguments: tuple[Any, ...]) -> Any:
        selector = name.replace("_", ":") if arguments or name.endswith("_") else name
        if selector.count(":") != len(arguments):
            raise TypeError(f"{receiver} {selector} takes {selector.count(':')} arguments: {arguments}")
        self.said.append((receiver, selector, arguments))
        if selector in self.answers:
            answer = self.answers[selector]
            return answer(*arguments) if callable(answer) else answer
        return Thing(self, receiver, (selector, arguments))


class Thing:
    """An object or a class of Objective-C: it answers every message with another one."""

    def __init__(self, bridge: Bridge, name: str, made: tuple[Any, ...] = ()) -> None:
        self._bridge, self._name, self.made = bridge, name, made

    def __getattr__(self, name: str) -> Callable[..., Any]:
        if name.startswith("__"):
            raise AttributeError(name)
        return lambda *arguments: self._bridge.tell(self._name, name, arguments)

    def __repr__(self) -> str:
        return f"<{self._name} {self.made}>"


def install(monkeypatch: pytest.MonkeyPatch) -> Bridge:
    """Put the stand-in where the imports of app/macos/ find it, and have these imported anew."""
    bridge = Bridge()
    for name in MODULES:
        monkeypatch.setitem(sys.modules, name, _module(bridge, name))
    for name in [name for name in sys.modules if name.startswith("app.macos")]:
        monkeypatch.delitem(sys.modules, name)
    return bridge


def _module(bridge: Bridge, name: str) -> types.ModuleType:
    module = types.ModuleType(name)
    known: dict[str, Any] = {}

    def get(attribute: str) -> Any:
        if attribute.startswith("__"):
            raise AttributeError(attribute)
        if attribute not in known:
            known[attribute] = _special(bridge, attribute) or Thing(bridge, attribute)
        return known[attribute]

    module.__getattr__ = get  # type: ignore[method-assign]
    return module


def _special(bridge: Bridge, name: str) -> Any:
    """Give what is not a class: functions, flags that are combined, and the base of Python's own classes."""
    if name == "NSObject":
        return _base(bridge)
    if name == "NSApp":
        return lambda: Thing(bridge, "NSApp")
    if name in ("NSMakeRect", "NSMakeSize", "NSLog", "loadBundle", "registerMetaDataForSelector"):
        return lambda *arguments, **more: bridge.said.append((name, "", (*arguments, *more.items())))
    if name == "lookUpClass":
        return lambda wanted: Thing(bridge, wanted)
    if (
        "Mask" in name or "ModifierFlag" in name or name.startswith("NSTerminate")
    ):  # numbers that are used as such
        return 1 << (sum(name.encode()) % 60)
    return None


def _base(bridge: Bridge) -> type:
    class NSObject:
        def __init_subclass__(cls) -> None:
            if cls.__name__ in bridge.classes:
                raise TypeError(f"{cls.__name__} is overriding existing Objective-C class")
            bridge.classes.add(cls.__name__)
            for name, value in vars(cls).items():
                if isinstance(value, types.FunctionType) and not name.startswith("__"):
                    arguments = value.__code__.co_argcount - 1
                    if name.count("_") != arguments:
                        raise TypeError(f"{cls.__name__}.{name} takes {arguments} arguments")

        @classmethod
        def alloc(cls) -> NSObject:
            return cls()

        def init(self) -> NSObject:
            return self

    return NSObject
