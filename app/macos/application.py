"""The Mac app itself: AppKit's run loop and delegate, and the conductor's Mac."""

from __future__ import annotations

import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

from AppKit import (
    NSApp,
    NSApplication,
    NSApplicationActivationPolicyAccessory,
    NSApplicationActivationPolicyRegular,
    NSTerminateLater,
    NSTerminateNow,
    NSWorkspace,
    NSWorkspaceDidWakeNotification,
)
from Foundation import NSBundle, NSObject, NSRunLoop, NSRunLoopCommonModes, NSTimer
from PyObjCTools.AppHelper import callAfter, runEventLoop
from UserNotifications import UNUserNotificationCenter

from app.errors import AppError
from app.macos import menus, system
from app.macos.updates import Updater
from app.macos.window import Window
from app.preferences import Preferences
from app.shell import link, menu, place
from app.shell.child import Child
from app.shell.conductor import Conductor
from app.shell.events import Chosen, Event, Launched, QuitAsked, State, Summoned, WindowClosed, Woken
from app.version import NAME


def run(load: Callable[[], Preferences]) -> None:
    """Be the Mac app until it is quit. `load` reads the preferences. Raises AppError outside a bundle."""
    bundle = NSBundle.mainBundle()
    if bundle.bundleIdentifier() is None or bundle.objectForInfoDictionaryKey_("SUFeedURL") is None:
        raise AppError("this is not the packaged app", cure="use serve")
    if system.summon_other_copy():
        return
    signal.signal(signal.SIGINT, signal.SIG_DFL)  # Python would answer when Python code runs next, if ever
    NSApplication.sharedApplication()
    application = Application(bundle, load)
    NSApp().setDelegate_(application.delegate)
    runEventLoop()


class AFCApplicationDelegate(NSObject):  # type: ignore[misc]
    """What AppKit tells: NSApplicationDelegate, NSWindowDelegate, UNUserNotificationCenterDelegate, menus."""

    application: Application

    def applicationWillFinishLaunching_(self, _notification: Any) -> None:
        self.application.prepare()

    def applicationDidFinishLaunching_(self, _notification: Any) -> None:
        self.application.began(at_login=system.launched_at_login())

    def applicationShouldTerminate_(self, _sender: Any) -> int:
        return self.application.leave()

    def applicationShouldTerminateAfterLastWindowClosed_(self, _sender: Any) -> bool:
        return False

    def applicationShouldHandleReopen_hasVisibleWindows_(self, _sender: Any, _visible: bool) -> bool:
        self.application.happen(Summoned())
        return False

    def applicationSupportsSecureRestorableState_(self, _sender: Any) -> bool:
        return True

    def windowWillClose_(self, _notification: Any) -> None:
        self.application.closed()

    def choose_(self, item: Any) -> None:
        self.application.happen(Chosen(str(item.representedObject())))  # type: ignore[arg-type]

    def woke_(self, _notification: Any) -> None:
        self.application.happen(Woken())

    def userNotificationCenter_didReceiveNotificationResponse_withCompletionHandler_(
        self, _center: Any, _response: Any, done: Any
    ) -> None:
        callAfter(self.application.happen, Summoned())
        done()


class Application:
    """The conductor's Mac."""

    def __init__(self, bundle: Any, load: Callable[[], Preferences]) -> None:
        self._bundle = bundle
        self._load = load
        self._trouble = place.trouble(Path(str(bundle.bundlePath())))
        self.delegate = AFCApplicationDelegate.alloc().init()
        self.delegate.application = self
        self._window = Window(self.delegate)
        self._updater: Updater | None = None
        self._waited_for = self._may_end = False
        child = Child((str(bundle.executablePath()), "serve", "--linked"), post=self._post)
        state = State(menu_bar_only=load().menu_bar_only)
        self._conductor = Conductor(self, child, state)

    @property
    def updates(self) -> bool:
        """Whether updates can be looked for."""
        return self._updater is not None

    def happen(self, event: Event) -> None:
        """Let something happen; in the main thread only."""
        self._conductor.happen(event)

    def _post(self, event: Event) -> None:
        callAfter(self.happen, event)

    # -- what AppKit tells ---------------------------------------------------------------------------------

    def prepare(self) -> None:
        """Do what has to be done before macOS tells of notifications and sleep."""
        self._symbol = menus.Symbol()
        UNUserNotificationCenter.currentNotificationCenter().setDelegate_(self.delegate)
        NSWorkspace.sharedWorkspace().notificationCenter().addObserver_selector_name_object_(
            self.delegate, "woke:", NSWorkspaceDidWakeNotification, None
        )

    def began(self, *, at_login: bool) -> None:
        """Start the server and Sparkle; from a disk image only if the user insists, and without Sparkle."""
        if self._trouble and not system.ask(f"Move {NAME} first", self._trouble, "Use It Anyway", "Quit"):
            NSApp().terminate_(None)
            return
        if not self._trouble:
            self._updater = Updater(
                f"{self._bundle.privateFrameworksPath()}/Sparkle.framework",
                automatic=self._load().check_for_updates,
                channel=lambda: self._load().channel,
                happen=self.happen,
            )
        menus.set_main(menu.main_menu(updates=self.updates), self.delegate)
        self.happen(Launched(at_login))

    def leave(self) -> int:
        """Answer applicationShouldTerminate: once the server has ended, yes."""
        self.happen(QuitAsked())
        self._waited_for = not self._may_end
        return int(NSTerminateLater if self._waited_for else NSTerminateNow)

    def closed(self) -> None:
        """The window was closed."""
        self._window.empty()
        self.happen(WindowClosed())

    # -- what the conductor has done -----------------------------------------------------------------------

    def show_menu(self, icon: menu.Icon, summary: str, items: tuple[menu.Item | None, ...]) -> None:
        """Put a symbol and a menu into the menu bar."""
        self._symbol.show(icon, summary, menus.make(NAME, items, self.delegate))

    def show_page(self, url: str) -> None:
        """Bring the window to the front with a page in it."""
        self._window.show_page(url)

    def show_message(self, title: str, text: str) -> None:
        """Bring the window to the front with a message in it."""
        self._window.show_message(title, text)

    def raise_window(self) -> None:
        """Bring the window to the front."""
        self._window.front()

    def notify(self, topic: str, title: str, text: str) -> None:
        """Show a notification."""
        system.notify(topic, title, text)

    def set_dock(self, visible: bool) -> None:
        """Be in the Dock, or in the menu bar only."""
        policy = NSApplicationActivationPolicyRegular if visible else NSApplicationActivationPolicyAccessory
        NSApp().setActivationPolicy_(policy)

    def copy(self, text: str) -> None:
        """Put a text on the pasteboard."""
        system.copy(text)

    def check_for_updates(self) -> None:
        """Have Sparkle look for an update. Raises AppError where it could not install one."""
        if self._updater is None:
            raise AppError(self._trouble or "Sparkle does not run")
        self._updater.check()

    def set_automatic_updates(self, on: bool) -> None:
        """Have Sparkle look for updates now and then, or only when asked."""
        if self._updater is not None:
            self._updater.set_automatic(on)

    def login_item(self) -> link.LoginItem:
        """Say if the app starts at login."""
        return "not available" if self._trouble else system.login_item()

    def set_login_item(self, on: bool) -> link.LoginItem:
        """Have the app start at login or not. Raises AppError."""
        if self._trouble:
            raise AppError(self._trouble)
        return system.set_login_item(on)

    def open_folder(self, path: str) -> None:
        """Show a folder in the Finder. Raises AppError."""
        system.open_folder(path)

    def after(self, seconds: float, call: Callable[[], None]) -> None:
        """Call `call` later, also while a menu is open or the app waits to end: these are modes."""
        timer = NSTimer.timerWithTimeInterval_repeats_block_(seconds, False, lambda _timer: call())
        NSRunLoop.mainRunLoop().addTimer_forMode_(timer, NSRunLoopCommonModes)

    def quit(self) -> None:
        """Let the app end, which waits for it."""
        self._may_end = True
        if self._waited_for:
            NSApp().replyToApplicationShouldTerminate_(True)
