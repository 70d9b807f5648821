"""Between the machine, the server's process and the Mac: carries out what the machine answers."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Protocol

from app.errors import AppError
from app.shell import link, menu
from app.shell.child import Child
from app.shell.events import (
    After,
    CheckForUpdates,
    Copy,
    Effect,
    Event,
    KillServer,
    Notify,
    Perform,
    Quit,
    RaiseWindow,
    Send,
    SetDock,
    ShowMessage,
    ShowPage,
    StartServer,
    State,
    StopServer,
)
from app.shell.machine import step


class Mac(Protocol):
    """What the machine's answers need of macOS. All of it is called in the main thread."""

    @property
    def updates(self) -> bool:
        """Whether updates can be looked for."""
        ...

    def show_menu(self, icon: menu.Icon, summary: str, items: tuple[menu.Item | None, ...]) -> None:
        """Put a symbol and a menu into the menu bar."""
        ...

    def show_page(self, url: str) -> None:
        """Bring the window to the front with a page in it."""
        ...

    def show_message(self, title: str, text: str) -> None:
        """Bring the window to the front with a message in it."""
        ...

    def raise_window(self) -> None:
        """Bring the window to the front."""
        ...

    def notify(self, topic: str, title: str, text: str) -> None:
        """Show a notification, in the place of an earlier one about the same topic."""
        ...

    def set_dock(self, visible: bool) -> None:
        """Be in the Dock, or in the menu bar only."""
        ...

    def copy(self, text: str) -> None:
        """Put a text on the pasteboard."""
        ...

    def check_for_updates(self) -> None:
        """Have Sparkle look for an update. Raises AppError."""
        ...

    def set_automatic_updates(self, on: bool) -> None:
        """Have Sparkle look for updates now and then, or only when asked."""
        ...

    def login_item(self) -> link.LoginItem:
        """Say if the app starts at login."""
        ...

    def set_login_item(self, on: bool) -> link.LoginItem:
        """Have the app start at login or not. Raises AppError."""
        ...

    def open_folder(self, path: str) -> None:
        """Show a folder in the Finder. Raises AppError."""
        ...

    def after(self, seconds: float, call: Callable[[], None]) -> None:
        """Call `call` later, in the main thread."""
        ...

    def quit(self) -> None:
        """End the app now."""
        ...


class Conductor:
    """The running app. `happen` is to be called in the main thread only."""

    def __init__(
        self, mac: Mac, child: Child, state: State, *, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self.state = state
        self._mac = mac
        self._child = child
        self._clock = clock
        self._shown: object = None

    def happen(self, event: Event) -> None:
        """Let something happen, and do what follows from it."""
        self.state, effects = step(self.state, event, self._clock())
        self._show_menu()
        for effect in effects:
            self._do(effect)

    def _show_menu(self) -> None:
        items = menu.status_menu(self.state, updates=self._mac.updates)
        shown = (menu.icon(self.state), menu.summary(self.state), items)
        if shown != self._shown:
            self._shown = shown
            self._mac.show_menu(*shown)

    def _do(self, effect: Effect) -> None:
        mac, child = self._mac, self._child
        match effect:
            case StartServer(run):
                child.start(run)
            case StopServer():
                child.stop()
            case KillServer():
                child.kill()
            case Send(message):
                child.send(message)
            case After(seconds, due):
                mac.after(seconds, lambda: self.happen(due))
            case ShowPage(url):
                mac.show_page(url)
            case ShowMessage(title, text):
                mac.show_message(title, text)
            case RaiseWindow():
                mac.raise_window()
            case Notify(topic, title, text):
                mac.notify(topic, title, text)
            case Perform(ask):
                child.send(self._answer(ask))
            case SetDock(visible):
                mac.set_dock(visible)
            case Copy(text):
                mac.copy(text)
            case CheckForUpdates():
                mac.check_for_updates()
            case Quit():
                mac.quit()

    def _answer(self, ask: link.Ask) -> link.Answer:
        try:
            return link.Answer(ask.id, self._perform(ask))
        except AppError as error:
            return link.Answer(ask.id, error=str(error))

    def _perform(self, ask: link.Ask) -> str | None:
        match ask:
            case link.Ask(question="check_for_updates"):
                self._mac.check_for_updates()
                return None
            case link.Ask(question="set_automatic_updates", value=bool(on)):
                self._mac.set_automatic_updates(on)
                return None
            case link.Ask(question="login_item"):
                return self._mac.login_item()
            case link.Ask(question="set_login_item", value=bool(on)):
                return self._mac.set_login_item(on)
            case link.Ask(question="open_folder", value=str(path)):
                self._mac.open_folder(path)
                return None
            case _:
                raise AppError("the Mac app does not know what is asked", cure="update it")
