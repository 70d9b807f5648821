"""What the Mac app does when something happens: `step` takes a state and an event, and only answers."""

from __future__ import annotations

from dataclasses import replace
from typing import TypeAlias

from app.instance import ALREADY_RUNNING
from app.shell import link, notices
from app.shell.events import (
    After,
    CheckForUpdates,
    Chosen,
    Copy,
    Due,
    Effect,
    Ended,
    Event,
    KillServer,
    Launched,
    Perform,
    Phase,
    Quit,
    QuitAsked,
    RaiseWindow,
    Said,
    Send,
    SetDock,
    ShowMessage,
    ShowPage,
    StartServer,
    State,
    StopServer,
    Summoned,
    UpdateFound,
    UpdateSeen,
    WindowClosed,
    Woken,
)

START_PATIENCE = 30.0  # seconds until a server that does not listen is ended; a cold disk takes a few
STOP_PATIENCE = 8.0  # seconds for a clean stop: the server gives answers under way one, connections five
WAKE_PATIENCE = 15.0  # seconds for a sign of life after sleep
STEADY = 60.0  # a server that lived this long was well: its end does not count as one of a series
FIRST_DELAY = 0.5  # seconds before it is started again, doubled each time
MOST_SHORT = 5  # so many short lives in a row, and it is left alone until the user says otherwise

Step: TypeAlias = tuple[State, tuple[Effect, ...]]


def step(state: State, event: Event, now: float) -> Step:
    """Give the state after `event`, and what is to be done, in order. `now` in seconds, monotonic."""
    match event:
        case Launched(at_login):
            quiet = at_login or state.menu_bar_only
            began, effects = _start(replace(state, place=None if quiet else ""), now)
            return began, (SetDock(not state.menu_bar_only), *effects)
        case Said(run, message):
            return _said(state, message, now) if run == state.run else (state, ())
        case Ended(run, status, last):
            return _ended(state, status, last, now) if run == state.run else (state, ())
        case Due():
            return _due(state, event, now) if event.run == state.run else (state, ())
        case Chosen("open") | Summoned():
            return _open(state, "")
        case Chosen("settings"):
            return _open(state, "settings")
        case Chosen():
            return _chosen(state, event, now)
        case WindowClosed():
            return replace(state, shown=False, place=None), ()
        case Woken():
            return _woken(state)
        case UpdateFound(version):
            return notices.update(replace(state, update=version), now)
        case UpdateSeen():
            return replace(state, update=None), ()
        case QuitAsked():
            return _quit(state)


# -- the server's process --------------------------------------------------------------------------------


def _start(state: State, now: float) -> Step:
    run = state.run + 1
    begun = replace(
        state, phase="starting", run=run, began=now, wanted=True, url=None, health=None, unanswered=False
    )
    return begun, (StartServer(run), After(START_PATIENCE, Due("listening", run)))


def _stop(state: State, *, wanted: bool) -> Step:
    """Ask the server to end. `wanted` says that it is to be started again."""
    if state.phase not in ("starting", "running"):
        phase: Phase = "stopped" if state.phase == "waiting" else state.phase
        return replace(state, phase=phase, wanted=wanted), ()
    stopping = replace(state, phase="stopping", wanted=wanted)
    return stopping, (StopServer(), After(STOP_PATIENCE, Due("kill", state.run)))


def _ended(state: State, status: int, last: str, now: float) -> Step:
    gone = replace(state, phase="stopped", url=None, health=None, unanswered=False)
    if state.quitting:
        return gone, (Quit(),)
    if state.phase == "stopping":
        return _start(gone, now) if state.wanted else (gone, ())
    short = 1 if now - state.began > STEADY else state.short + 1
    why = last or f"it ended with status {status}"
    if status == ALREADY_RUNNING or short >= MOST_SHORT:  # another copy serves: it is in the way as long
        return _failed(replace(gone, short=0), why, now)
    delay = FIRST_DELAY * 2.0 ** (short - 1)
    waiting = replace(gone, phase="waiting", short=short, failure=why)
    return waiting, (After(delay, Due("restart", state.run)),)


def _failed(state: State, why: str, now: float) -> Step:
    failed = replace(state, phase="failed", failure=why, wanted=False)
    if state.shown or state.place is not None:
        return replace(failed, shown=True, place=None), (_problem(failed),)
    return notices.server(failed, now)


def _due(state: State, due: Due, now: float) -> Step:
    match due.timer:
        case "restart" if state.phase == "waiting":
            return _start(state, now)
        case "kill" if state.phase == "stopping":
            return state, (KillServer(),)
        case "listening" if state.phase == "starting":
            return state, (KillServer(),)
        case "awake" if state.phase == "running" and state.unanswered:
            return _stop(state, wanted=True)
        case _:
            return state, ()


def _woken(state: State) -> Step:
    """Have the server look at its connections, and notice if it does not answer."""
    if state.phase != "running":
        return state, ()
    return replace(state, unanswered=True), (Send(link.Woke()), After(WAKE_PATIENCE, Due("awake", state.run)))


def _quit(state: State) -> Step:
    leaving = replace(state, quitting=True)
    if state.phase in ("starting", "running"):
        return _stop(leaving, wanted=False)
    if state.phase == "stopping":  # asked a second time, the user does not want to wait
        return leaving, (KillServer(),) if state.quitting else ()
    return replace(leaving, phase="stopped"), (Quit(),)


# -- what the server says --------------------------------------------------------------------------------


def _said(state: State, message: link.FromServer, now: float) -> Step:
    match message:
        case link.Listening(url=url):
            running = replace(state, phase="running", url=url, failure="")
            place = "" if state.place is None and state.shown else state.place  # it needs a new way in
            return running, () if place is None else (Send(link.Open(place)),)
        case link.Health():
            well = replace(state, health=message, unanswered=False)
            return notices.health(well, now, before=state.health)
        case link.Page(url=url):
            return replace(state, shown=True, place=None), (ShowPage(url),)
        case link.Ask(question="set_menu_bar_only", id=number, value=on):
            only = on is True
            return replace(state, menu_bar_only=only), (SetDock(not only), Send(link.Answer(number)))
        case link.Ask():
            return state, (Perform(message),)


# -- what the user wants ---------------------------------------------------------------------------------


def _open(state: State, place: str) -> Step:
    if state.phase == "running":
        if state.shown and not place:
            return state, (RaiseWindow(),)
        return replace(state, place=place), (Send(link.Open(place)),)
    shown = replace(state, shown=True, place=place)
    return shown, (_problem(state),)


def _chosen(state: State, event: Chosen, now: float) -> Step:
    match event.action:
        case "copy":
            return state, (Copy(f"{state.url}/v1"),) if state.url else ()
        case "start" if state.phase in ("stopped", "waiting", "failed"):
            return _start(replace(state, short=0, failure=""), now)
        case "stop":
            return _stop(state, wanted=False)
        case "restart":
            return _stop(state, wanted=True)
        case "check_for_updates":
            return replace(state, update=None), (CheckForUpdates(),)
        case _:
            return state, ()


def _problem(state: State) -> ShowMessage:
    match state.phase:
        case "starting" | "waiting":
            return ShowMessage("Starting…", state.failure)
        case "failed":
            return ShowMessage(
                "The server does not run", f"{state.failure}. Start it again from the menu bar."
            )
        case _:
            return ShowMessage("The server is stopped", "Start it from the menu bar.")
