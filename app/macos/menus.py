"""NSMenu from the menus that app/shell/menu.py describes."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from AppKit import (
    NSApp,
    NSEventModifierFlagCommand,
    NSEventModifierFlagOption,
    NSImage,
    NSMenu,
    NSMenuItem,
    NSStatusBar,
    NSVariableStatusItemLength,
)

from app.shell import menu


def make(title: str, items: Iterable[menu.Item | None], target: Any) -> Any:
    """Make an NSMenu. Our own actions go to `target` as `choose:`, with the action as representedObject."""
    made = NSMenu.alloc().initWithTitle_(title)
    for item in items:
        made.addItem_(NSMenuItem.separatorItem() if item is None else _item(item, target))
    return made


def _item(item: menu.Item, target: Any) -> Any:
    selector = ("choose:" if item.action else item.selector) if item.enabled else ""
    made = NSMenuItem.alloc().initWithTitle_action_keyEquivalent_(item.title, selector or None, item.key)
    if item.option:
        made.setKeyEquivalentModifierMask_(NSEventModifierFlagCommand | NSEventModifierFlagOption)
    if item.action:
        made.setRepresentedObject_(item.action)
        made.setTarget_(target)
    return made


def set_main(menus: Iterable[menu.Menu], target: Any) -> None:
    """Make the application's own menus."""
    bar = NSMenu.alloc().initWithTitle_("")
    for one in menus:
        holder = NSMenuItem.alloc().initWithTitle_action_keyEquivalent_(one.title, None, "")
        made = make(one.title, one.items, target)
        holder.setSubmenu_(made)
        bar.addItem_(holder)
        if one.role == "windows":
            NSApp().setWindowsMenu_(made)
        elif one.role == "help":
            NSApp().setHelpMenu_(made)
    NSApp().setMainMenu_(bar)


class Symbol:
    """The app's symbol in the menu bar."""

    def __init__(self) -> None:
        self._item = NSStatusBar.systemStatusBar().statusItemWithLength_(NSVariableStatusItemLength)

    def show(self, icon: menu.Icon, summary: str, made: Any) -> None:
        """Show a symbol, with a menu behind it; `summary` is read to those who do not see it."""
        image = NSImage.imageWithSystemSymbolName_accessibilityDescription_(icon, summary)
        self._item.button().setImage_(image)
        self._item.button().setToolTip_(summary)
        self._item.setMenu_(made)
