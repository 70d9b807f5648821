"""The rest of macOS: login item, Finder, pasteboard, notifications, other copies of the app."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from AppKit import (
    NSAlert,
    NSAlertFirstButtonReturn,
    NSApp,
    NSPasteboard,
    NSPasteboardTypeString,
    NSRunningApplication,
    NSWorkspace,
)
from Foundation import NSURL, NSAppleEventManager, NSBundle, NSLog
from ServiceManagement import (
    SMAppService,
    SMAppServiceStatusEnabled,
    SMAppServiceStatusRequiresApproval,
)
from UserNotifications import (
    UNAuthorizationOptionAlert,
    UNMutableNotificationContent,
    UNNotificationRequest,
    UNUserNotificationCenter,
)

from app.errors import AppError
from app.shell.link import LoginItem

# Four-character codes of Apple events (AERegistry.h): "open application", its data, "as a login item".
OPEN_APPLICATION, PROPERTY_DATA, AS_LOGIN_ITEM = (
    int.from_bytes(code, "big") for code in (b"oapp", b"prdt", b"lgit")
)


def launched_at_login() -> bool:
    """Say if macOS started the app at login; true only while the app is being launched."""
    event = NSAppleEventManager.sharedAppleEventManager().currentAppleEvent()
    if event is None or event.eventID() != OPEN_APPLICATION:
        return False
    data = event.paramDescriptorForKeyword_(PROPERTY_DATA)
    return data is not None and data.enumCodeValue() == AS_LOGIN_ITEM


def login_item() -> LoginItem:
    """Say if the app starts at login. One that was never registered may be "not found": that is off."""
    status = SMAppService.mainAppService().status()
    if status == SMAppServiceStatusEnabled:
        return "on"
    return "needs approval" if status == SMAppServiceStatusRequiresApproval else "off"


def set_login_item(on: bool) -> LoginItem:
    """Have the app start at login or not; where the user has to approve, System Settings is opened there."""
    service = SMAppService.mainAppService()
    done, error = service.registerAndReturnError_(None) if on else service.unregisterAndReturnError_(None)
    now = login_item()
    if now == "needs approval" and on:
        SMAppService.openSystemSettingsLoginItems()
    elif not done and (now == "on") is not on:
        cure = "look under General, Login Items in System Settings"
        raise AppError(f"macOS refused: {error.localizedDescription()}", cure=cure)
    return now


def open_folder(path: str) -> None:
    """Show a folder in the Finder."""
    if not Path(path).is_dir():
        raise AppError(f"there is no folder {path}")
    NSWorkspace.sharedWorkspace().openURL_(NSURL.fileURLWithPath_isDirectory_(path, True))


def copy(text: str) -> None:
    """Put a text on the pasteboard."""
    pasteboard = NSPasteboard.generalPasteboard()
    pasteboard.clearContents()
    pasteboard.setString_forType_(text, NSPasteboardTypeString)


def notify(topic: str, title: str, text: str) -> None:
    """Show a notification. The first time macOS asks the user for permission."""
    center = UNUserNotificationCenter.currentNotificationCenter()

    def asked(granted: bool, error: Any) -> None:
        if not granted:
            NSLog("Notifications are off: %@", title)
            return
        content = UNMutableNotificationContent.alloc().init()
        content.setTitle_(title)
        content.setBody_(text)
        request = UNNotificationRequest.requestWithIdentifier_content_trigger_(topic, content, None)
        center.addNotificationRequest_withCompletionHandler_(request, None)

    center.requestAuthorizationWithOptions_completionHandler_(UNAuthorizationOptionAlert, asked)


def summon_other_copy() -> bool:
    """Bring up another running copy of the app, if there is one, and say so."""
    mine = NSRunningApplication.currentApplication().processIdentifier()
    identifier = NSBundle.mainBundle().bundleIdentifier()
    for other in NSRunningApplication.runningApplicationsWithBundleIdentifier_(identifier):
        if other.processIdentifier() != mine:
            NSWorkspace.sharedWorkspace().openURL_(other.bundleURL())  # as a second click on it would
            return True
    return False


def ask(title: str, text: str, yes: str, no: str) -> bool:
    """Ask the user, and wait for the answer."""
    NSApp().activateIgnoringOtherApps_(True)
    alert = NSAlert.alloc().init()
    alert.setMessageText_(title)
    alert.setInformativeText_(text)
    alert.addButtonWithTitle_(yes)
    alert.addButtonWithTitle_(no)
    return bool(alert.runModal() == NSAlertFirstButtonReturn)
