"""Sparkle, loaded from the app's own Contents/Frameworks."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import objc
from Foundation import NSObject, NSSet

from app.shell.events import Event, UpdateFound, UpdateSeen

CONTROLLER = "SPUStandardUpdaterController"
BOOL, OBJECT, NOTHING = b"Z", b"@", b"v"

# The types of the delegates' methods, as in SPUUpdaterDelegate.h and SPUStandardUserDriverDelegate.h: first
# the result, then each argument. PyObjC knows Apple's frameworks only, and would take all for objects.
TYPES: dict[bytes, tuple[bytes, ...]] = {
    b"allowedChannelsForUpdater:": (OBJECT, OBJECT),
    b"supportsGentleScheduledUpdateReminders": (BOOL,),
    b"standardUserDriverShouldHandleShowingScheduledUpdate:andInImmediateFocus:": (BOOL, OBJECT, BOOL),
    b"standardUserDriverWillHandleShowingUpdate:forUpdate:state:": (NOTHING, BOOL, OBJECT, OBJECT),
    b"standardUserDriverDidReceiveUserAttentionForUpdate:": (NOTHING, OBJECT),
    b"standardUserDriverWillFinishUpdateSession": (NOTHING,),
}
for _selector, (_result, *_arguments) in TYPES.items():
    objc.registerMetaDataForSelector(
        b"NSObject",
        _selector,
        {
            "required": False,
            "retval": {"type": _result},
            "arguments": {2 + number: {"type": kind} for number, kind in enumerate(_arguments)},
        },
    )


class AFCUpdaterDelegate(NSObject):  # type: ignore[misc]
    """What Sparkle asks and tells: SPUUpdaterDelegate and SPUStandardUserDriverDelegate.

    Sparkle ends the app like a user who quits it, and waits: applicationShouldTerminate: stops the server
    first. So there is nothing to postpone here.
    """

    channel: Callable[[], str]
    happen: Callable[[Event], None]

    def allowedChannelsForUpdater_(self, _updater: Any) -> Any:
        channel = self.channel()
        return NSSet.setWithArray_([] if channel == "stable" else [channel])

    def supportsGentleScheduledUpdateReminders(self) -> bool:
        return True

    def standardUserDriverShouldHandleShowingScheduledUpdate_andInImmediateFocus_(
        self, _update: Any, focus: bool
    ) -> bool:
        return bool(focus)  # otherwise a notification tells of it, and the menu

    def standardUserDriverWillHandleShowingUpdate_forUpdate_state_(
        self, sparkle_shows_it: bool, update: Any, _state: Any
    ) -> None:
        if not sparkle_shows_it:
            self.happen(UpdateFound(str(update.displayVersionString())))

    def standardUserDriverDidReceiveUserAttentionForUpdate_(self, _update: Any) -> None:
        self.happen(UpdateSeen())

    def standardUserDriverWillFinishUpdateSession(self) -> None:
        self.happen(UpdateSeen())


class Updater:
    """Sparkle at work."""

    def __init__(
        self, framework: str, *, automatic: bool, channel: Callable[[], str], happen: Callable[[Event], None]
    ) -> None:
        objc.loadBundle("Sparkle", {}, bundle_path=framework, scan_classes=False)
        self._delegate = AFCUpdaterDelegate.alloc().init()  # Sparkle holds it weakly
        self._delegate.channel = channel
        self._delegate.happen = happen
        self._controller = (
            objc.lookUpClass(CONTROLLER)
            .alloc()
            .initWithStartingUpdater_updaterDelegate_userDriverDelegate_(
                False, self._delegate, self._delegate
            )
        )
        self.set_automatic(automatic)
        self._controller.startUpdater()  # it tells the user itself if something is wrong with the bundle

    def set_automatic(self, on: bool) -> None:
        """Look for updates now and then, or only when asked."""
        self._controller.updater().setAutomaticallyChecksForUpdates_(on)

    def check(self) -> None:
        """Look for an update now and show what comes of it."""
        self._controller.checkForUpdates_(None)
