"""app/macos/ run line by line over a stand-in for AppKit, with the real server as its child."""

from __future__ import annotations

import contextlib
import queue
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from app.errors import AppError
from app.preferences import Preferences
from app.shell import link
from app.shell.events import Event, UpdateFound, UpdateSeen
from tests.app.macos import standin
from tests.app.shell.test_linked import PATIENCE, environment


@dataclass
class Mac:
    """The app on a Mac that takes everything down."""

    bridge: standin.Bridge
    calls: queue.Queue[Callable[[], None]]
    application: Any
    module: Any

    def until(self, selector: str, times: int = 1) -> tuple[Any, ...]:
        """Let the run loop turn until AppKit was told this; gives the arguments of that time."""
        deadline = time.monotonic() + PATIENCE
        while len(self.bridge.of(selector)) < times:
            assert time.monotonic() < deadline, (selector, self.bridge.said[-5:])
            self.turn()
        return self.bridge.of(selector)[times - 1]

    def turn(self) -> None:
        with contextlib.suppress(queue.Empty):
            self.calls.get(timeout=0.2)()

    def titles(self) -> list[str]:
        """The lines of all menus so far."""
        return [str(arguments[0]) for arguments in self.bridge.of("initWithTitle:action:keyEquivalent:")]


def bundle(bridge: standin.Bridge, folder: Path) -> standin.Thing:
    """An app whose executable is this checkout's command line."""
    executable = folder / "API for Cursor"
    executable.write_text(f'#!/bin/sh\nexec "{sys.executable}" -m app "$@" --port 0\n')
    executable.chmod(0o755)
    bridge.answers |= {
        "bundlePath": str(folder),
        "executablePath": str(executable),
        "privateFrameworksPath": f"{folder}/Frameworks",
        "bundleIdentifier": "org.example.tiny",
    }
    return standin.Thing(bridge, "bundle")


@pytest.fixture
def mac(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Mac]:
    for name, value in environment(tmp_path).items():
        monkeypatch.setenv(name, value)
    bridge = standin.install(monkeypatch)
    calls: queue.Queue[Callable[[], None]] = queue.Queue()
    from app.macos import application as module

    monkeypatch.setattr(module, "callAfter", lambda call, *given: calls.put(lambda: call(*given)))
    application = module.Application(bundle(bridge, tmp_path), Preferences)
    running = Mac(bridge, calls, application, module)
    yield running
    application._conductor._child.kill()
    while application._conductor.state.phase in ("starting", "running", "stopping"):
        running.turn()  # until its end has been told: nobody posts anything after this test


def opened(mac: Mac) -> str:
    """Launch the app as AppKit does; gives the address in the window."""
    mac.application.delegate.applicationWillFinishLaunching_(None)
    mac.bridge.answers["eventID"] = 0
    mac.application.delegate.applicationDidFinishLaunching_(None)
    mac.until("loadRequest:")
    return str(mac.bridge.of("URLWithString:")[-1][0])


def test_from_launch_to_quit(mac: Mac) -> None:
    assert opened(mac).startswith("http://127.0.0.1:")
    assert ("makeKeyAndOrderFront:", (None,)) in [(name, given) for _, name, given in mac.bridge.said]
    assert {"Open API for Cursor", "Copy Base URL", "Check for Updates…", "Copy", "Paste"} <= set(
        mac.titles()
    )
    server = mac.application._conductor._child._process
    later = mac.application.delegate.applicationShouldTerminate_(None)
    assert later == mac.module.NSTerminateLater
    assert mac.until("replyToApplicationShouldTerminate:") == (True,)
    assert server.returncode == 0


def test_the_window(mac: Mac) -> None:
    opened(mac)
    delegate = mac.application.delegate
    delegate.windowWillClose_(None)
    assert mac.bridge.of("loadHTMLString:baseURL:")[-1] == ("", None)
    assert delegate.applicationShouldHandleReopen_hasVisibleWindows_(None, False) is False
    mac.until("loadRequest:", 2)
    assert delegate.applicationShouldTerminateAfterLastWindowClosed_(None) is False
    assert delegate.applicationSupportsSecureRestorableState_(None) is True
    mac.bridge.answers["representedObject"] = "open"
    delegate.choose_(standin.Thing(mac.bridge, "item"))
    assert len(mac.bridge.of("makeKeyAndOrderFront:")) == 3
    delegate.woke_(None)
    clicked: list[bool] = []
    delegate.userNotificationCenter_didReceiveNotificationResponse_withCompletionHandler_(
        None, None, lambda: clicked.append(True)
    )
    assert clicked == [True]


def test_links_to_elsewhere_open_in_the_browser(mac: Mac) -> None:
    opened(mac)
    browsing = mac.application._window._browsing
    decided: list[Any] = []
    import WebKit

    for url, wanted in (
        (f"{browsing.own}/app/agents", WebKit.WKNavigationActionPolicyAllow),
        ("https://cursor.com/", WebKit.WKNavigationActionPolicyCancel),
        ("file:///etc/passwd", WebKit.WKNavigationActionPolicyCancel),
    ):
        mac.bridge.answers["absoluteString"] = url
        action = standin.Thing(mac.bridge, "action")
        browsing.webView_decidePolicyForNavigationAction_decisionHandler_(None, action, decided.append)
        assert decided[-1] is wanted
    assert len(mac.bridge.of("openURL:")) == 1
    web = standin.Thing(mac.bridge, "web")
    create = browsing.webView_createWebViewWithConfiguration_forNavigationAction_windowFeatures_
    assert create(web, None, standin.Thing(mac.bridge, "action"), None) is None
    browsing.webViewWebContentProcessDidTerminate_(web)
    assert mac.bridge.said[-1][:2] == ("web", "reload")


def test_what_pages_may_ask(mac: Mac, tmp_path: Path) -> None:
    conductor = mac.application._conductor
    opened(mac)
    mac.bridge.answers["status"] = mac.module.system.SMAppServiceStatusEnabled
    assert conductor._perform(link.Ask(1, "login_item")) == "on"
    conductor._perform(link.Ask(1, "open_folder", str(tmp_path)))
    assert mac.bridge.of("fileURLWithPath:isDirectory:") == [(str(tmp_path), True)]
    with pytest.raises(AppError, match="no folder"):
        conductor._perform(link.Ask(1, "open_folder", str(tmp_path / "none")))
    conductor._perform(link.Ask(1, "check_for_updates"))
    conductor._perform(link.Ask(1, "set_automatic_updates", False))
    assert mac.bridge.of("setAutomaticallyChecksForUpdates:") == [(True,), (False,)]
    with pytest.raises(AppError, match="does not know"):
        conductor._perform(link.Ask(1, "open_folder", True))
    mac.application.copy("text")
    assert mac.bridge.of("setString:forType:")[0][0] == "text"
    mac.application.set_dock(False)
    assert mac.bridge.of("setActivationPolicy:")[-1] == (mac.module.NSApplicationActivationPolicyAccessory,)


def test_the_login_item(mac: Mac) -> None:
    system, answers = mac.module.system, mac.bridge.answers
    answers |= {"registerAndReturnError:": (True, None), "status": system.SMAppServiceStatusEnabled}
    assert system.set_login_item(True) == "on"
    answers |= {"registerAndReturnError:": (False, None), "status": system.SMAppServiceStatusRequiresApproval}
    assert system.set_login_item(True) == "needs approval"
    assert mac.bridge.of("openSystemSettingsLoginItems") == [()]
    error = standin.Thing(mac.bridge, "error")
    answers |= {"registerAndReturnError:": (False, error), "status": 0, "localizedDescription": "not today"}
    with pytest.raises(AppError, match="macOS refused: not today"):
        system.set_login_item(True)
    answers["unregisterAndReturnError:"] = (True, None)
    assert system.set_login_item(False) == "off"


def test_notifications_ask_for_permission_first(mac: Mac) -> None:
    mac.application.notify("key", "It needs your key", "Open the window.")
    ((_, asked),) = mac.bridge.of("requestAuthorizationWithOptions:completionHandler:")
    asked(False, None)
    assert mac.bridge.of("addNotificationRequest:withCompletionHandler:") == []
    asked(True, None)
    assert len(mac.bridge.of("addNotificationRequest:withCompletionHandler:")) == 1
    assert mac.bridge.of("setTitle:")[-1] == ("It needs your key",)
    assert mac.bridge.of("requestWithIdentifier:content:trigger:")[0][0] == "key"


def test_sparkle_is_asked_and_answered(mac: Mac) -> None:
    from app.macos.updates import Updater

    happened: list[Event] = []
    updater = Updater("/F/Sparkle.framework", automatic=True, channel=lambda: "beta", happen=happened.append)
    loaded = [given for name, _, given in mac.bridge.said if name == "loadBundle"]
    assert loaded == [("Sparkle", {}, ("bundle_path", "/F/Sparkle.framework"), ("scan_classes", False))]
    assert mac.bridge.of("startUpdater") == [()]
    delegate = updater._delegate
    delegate.allowedChannelsForUpdater_(None)
    assert mac.bridge.of("setWithArray:") == [(["beta"],)]
    assert delegate.supportsGentleScheduledUpdateReminders() is True
    assert (
        delegate.standardUserDriverShouldHandleShowingScheduledUpdate_andInImmediateFocus_(None, False)
        is False
    )
    mac.bridge.answers["displayVersionString"] = "1.2"
    show = delegate.standardUserDriverWillHandleShowingUpdate_forUpdate_state_
    show(True, standin.Thing(mac.bridge, "update"), None)
    show(False, standin.Thing(mac.bridge, "update"), None)
    delegate.standardUserDriverDidReceiveUserAttentionForUpdate_(None)
    delegate.standardUserDriverWillFinishUpdateSession()
    assert happened == [UpdateFound("1.2"), UpdateSeen(), UpdateSeen()]
    updater.check()
    assert mac.bridge.of("checkForUpdates:") == [(None,)]


def test_from_a_disk_image_it_asks_to_be_moved(mac: Mac) -> None:
    mac.application._trouble = "It runs from a disk image."
    mac.application.prepare()
    mac.application.began(at_login=False)  # the stand-in's alert does not give the first button
    assert ("NSApp", "terminate:", (None,)) in mac.bridge.said
    assert mac.application._conductor._child._process is None
    assert mac.application.leave() == mac.module.NSTerminateNow
    assert mac.application.login_item() == "not available"
    for refuse in (lambda: mac.application.set_login_item(True), mac.application.check_for_updates):
        with pytest.raises(AppError, match="disk image"):
            refuse()


def test_started_by_hand_elsewhere_and_beside_another_copy(mac: Mac) -> None:
    mac.bridge.answers["bundleIdentifier"] = None
    with pytest.raises(AppError, match="not the packaged app"):
        mac.module.run(Preferences)
    mac.bridge.answers |= {"bundleIdentifier": "org.example.tiny"}
    others = [standin.Thing(mac.bridge, "other")]
    mac.bridge.answers["runningApplicationsWithBundleIdentifier:"] = others
    mac.bridge.answers["processIdentifier"] = iter((1, 2)).__next__
    assert mac.module.system.summon_other_copy() is True
    assert len(mac.bridge.of("openURL:")) == 1
    mac.bridge.answers["processIdentifier"] = 1
    assert mac.module.system.summon_other_copy() is False


@pytest.mark.parametrize(("code", "at_login"), [(b"lgit", True), (b"othr", False)])
def test_a_launch_at_login_is_recognised(mac: Mac, code: bytes, at_login: bool) -> None:
    mac.bridge.answers |= {
        "eventID": int.from_bytes(b"oapp", "big"),
        "enumCodeValue": int.from_bytes(code, "big"),
    }
    assert mac.module.system.launched_at_login() is at_login
    mac.bridge.answers["currentAppleEvent"] = None
    assert mac.module.system.launched_at_login() is False


def test_timers_run_while_menus_are_open(mac: Mac) -> None:
    called: list[bool] = []
    mac.application.after(1.5, lambda: called.append(True))
    ((seconds, repeats, block),) = mac.bridge.of("timerWithTimeInterval:repeats:block:")
    block(None)
    assert (seconds, repeats, called) == (1.5, False, [True])
    assert mac.bridge.of("addTimer:forMode:")[0][1] is mac.module.NSRunLoopCommonModes
