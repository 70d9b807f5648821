"""The window: a WKWebView on the app's own pages, and on nothing else."""

from __future__ import annotations

from typing import Any

from AppKit import (
    NSApp,
    NSBackingStoreBuffered,
    NSColor,
    NSWindow,
    NSWindowStyleMaskClosable,
    NSWindowStyleMaskMiniaturizable,
    NSWindowStyleMaskResizable,
    NSWindowStyleMaskTitled,
    NSWorkspace,
)
from Foundation import NSURL, NSMakeRect, NSMakeSize, NSObject, NSURLRequest
from WebKit import (
    WKNavigationActionPolicyAllow,
    WKNavigationActionPolicyCancel,
    WKWebsiteDataStore,
    WKWebView,
    WKWebViewConfiguration,
)

from app.shell import pages
from app.version import NAME

STYLE = (
    NSWindowStyleMaskTitled
    | NSWindowStyleMaskClosable
    | NSWindowStyleMaskMiniaturizable
    | NSWindowStyleMaskResizable
)
SIZE, SMALLEST = (980.0, 720.0), (360.0, 480.0)  # points


class AFCBrowsingDelegate(NSObject):  # type: ignore[misc]
    """What WebKit asks: WKNavigationDelegate and WKUIDelegate."""

    own = ""
    """The origin of the app's pages."""

    def webView_decidePolicyForNavigationAction_decisionHandler_(
        self, _web: Any, action: Any, decide: Any
    ) -> None:
        fate = pages.fate(str(action.request().URL().absoluteString()), self.own)
        if fate == "browser":
            NSWorkspace.sharedWorkspace().openURL_(action.request().URL())
        decide(WKNavigationActionPolicyAllow if fate == "here" else WKNavigationActionPolicyCancel)

    def webView_createWebViewWithConfiguration_forNavigationAction_windowFeatures_(
        self, web: Any, _configuration: Any, action: Any, _features: Any
    ) -> None:
        web.loadRequest_(action.request())  # there is one window; the policy above sends strangers away

    def webViewWebContentProcessDidTerminate_(self, web: Any) -> None:
        web.reload()


class Window:
    """The app's only window; made when it is first needed."""

    def __init__(self, delegate: Any) -> None:
        self._delegate = delegate
        self._browsing = AFCBrowsingDelegate.alloc().init()
        self._window: Any = None
        self._web: Any = None

    def show_page(self, url: str) -> None:
        """Bring it to the front with a page in it."""
        self.front()
        self._browsing.own = pages.origin(url)
        self._web.loadRequest_(NSURLRequest.requestWithURL_(NSURL.URLWithString_(url)))

    def show_message(self, title: str, text: str) -> None:
        """Bring it to the front with a message in it."""
        self.front()
        self._web.loadHTMLString_baseURL_(pages.message(title, text), None)

    def front(self) -> None:
        """Bring it to the front."""
        if self._window is None:
            self._make()
        self._window.makeKeyAndOrderFront_(None)
        NSApp().activateIgnoringOtherApps_(True)

    def empty(self) -> None:
        """Let go of the page once the window is closed; it would go on listening for news."""
        self._web.loadHTMLString_baseURL_("", None)

    def _make(self) -> None:
        rect = NSMakeRect(0.0, 0.0, *SIZE)
        configuration = WKWebViewConfiguration.alloc().init()
        # The way in lasts as long as the window: nothing is kept on disk that could be used later.
        configuration.setWebsiteDataStore_(WKWebsiteDataStore.nonPersistentDataStore())
        self._web = WKWebView.alloc().initWithFrame_configuration_(rect, configuration)
        self._web.setNavigationDelegate_(self._browsing)
        self._web.setUIDelegate_(self._browsing)
        self._web.setUnderPageBackgroundColor_(NSColor.windowBackgroundColor())
        self._window = NSWindow.alloc().initWithContentRect_styleMask_backing_defer_(
            rect, STYLE, NSBackingStoreBuffered, False
        )
        self._window.setTitle_(NAME)
        self._window.setContentMinSize_(NSMakeSize(*SMALLEST))
        self._window.setReleasedWhenClosed_(False)
        self._window.setDelegate_(self._delegate)
        self._window.setContentView_(self._web)
        self._window.center()
        self._window.setFrameAutosaveName_("Main")
