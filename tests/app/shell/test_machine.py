"""The shell's decisions, event by event."""

from __future__ import annotations

from dataclasses import replace
from typing import get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.instance import ALREADY_RUNNING
from app.shell import link, machine
from app.shell.events import (
    After,
    Chosen,
    Copy,
    Due,
    Effect,
    Ended,
    Event,
    KillServer,
    Launched,
    Notify,
    Perform,
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
    Timer,
    UpdateFound,
    UpdateSeen,
    WindowClosed,
    Woken,
)

URL = "http://127.0.0.1:8787"
PAGE = f"{URL}/app/enter?ticket=x"
READY = link.Health("ready")


def play(state: State, *events: Event, now: float = 0.0) -> tuple[State, tuple[Effect, ...]]:
    """Let events happen; gives the last one's effects."""
    effects: tuple[Effect, ...] = ()
    for event in events:
        state, effects = machine.step(state, event, now)
    return state, effects


def serving(*further: Event) -> State:
    """An app whose server runs and whose window is open."""
    begun = (Launched(), Said(1, link.Listening(URL)), Said(1, READY), Said(1, link.Page(PAGE)))
    return play(State(), *begun, *further)[0]


def test_a_launch_starts_the_server_and_opens_the_window_once_there_is_a_page() -> None:
    state, effects = play(State(), Launched())
    assert effects == (SetDock(True), StartServer(1), After(machine.START_PATIENCE, Due("listening", 1)))
    state, effects = play(state, Said(1, link.Listening(URL)))
    assert (state.phase, effects) == ("running", (Send(link.Open("")),))
    state, effects = play(state, Said(1, link.Page(PAGE)))
    assert state.shown
    assert effects == (ShowPage(PAGE),)


@pytest.mark.parametrize(
    ("state", "event"), [(State(), Launched(True)), (State(menu_bar_only=True), Launched())]
)
def test_at_login_and_in_the_menu_bar_only_no_window_comes_up(state: State, event: Event) -> None:
    state, effects = play(state, event)
    assert SetDock(not state.menu_bar_only) in effects
    assert play(state, Said(1, link.Listening(URL)))[1] == ()


def test_a_server_that_does_not_listen_in_time_is_ended() -> None:
    state, _ = play(State(), Launched())
    assert play(state, Due("listening", 1))[1] == (KillServer(),)
    assert play(serving(), Due("listening", 1))[1] == ()


def test_a_server_that_ends_by_itself_is_started_again_later_and_later_and_then_left_alone() -> None:
    state, _ = play(State(), Launched(at_login=True))
    delays = []
    for run in range(1, machine.MOST_SHORT):
        state, effects = play(state, Ended(run, -11, "it crashed"))
        (wait,) = effects
        assert isinstance(wait, After)
        assert (state.phase, wait.due) == ("waiting", Due("restart", run))
        delays.append(wait.seconds)
        state, effects = play(state, wait.due)
        assert effects[0] == StartServer(run + 1)
    assert delays == [0.5, 1.0, 2.0, 4.0]
    state, effects = play(state, Ended(machine.MOST_SHORT, -11, "it crashed"))
    assert (state.phase, state.failure) == ("failed", "it crashed")
    (notice,) = effects
    assert isinstance(notice, Notify)
    assert "it crashed" in notice.text


def test_a_long_life_does_not_count_as_one_of_a_series() -> None:
    state = replace(serving(), short=machine.MOST_SHORT - 1)
    state, effects = play(state, Ended(1, 1, ""), now=machine.STEADY + 1)
    assert (state.phase, state.short) == ("waiting", 1)
    assert effects == (After(machine.FIRST_DELAY, Due("restart", 1)),)
    assert state.failure == "it ended with status 1"


def test_beside_another_copy_it_does_not_try_again() -> None:
    state, _ = play(State(), Launched())
    state, effects = play(state, Ended(1, ALREADY_RUNNING, "it runs already, on http://127.0.0.1:8787/v1"))
    assert state.phase == "failed"
    (message,) = effects  # the user waits for the window
    assert isinstance(message, ShowMessage)
    assert "8787" in message.text


def test_the_window_gets_a_new_way_in_when_the_server_was_started_again() -> None:
    state, _ = play(serving(), Ended(1, 1, ""), Due("restart", 1))
    assert play(state, Said(2, link.Listening(URL)))[1] == (Send(link.Open("")),)


def test_what_belongs_to_an_earlier_process_changes_nothing() -> None:
    state, _ = play(serving(), Ended(1, 1, ""), Due("restart", 1))
    for late in (
        Said(1, link.Listening("http://127.0.0.1:1")),
        Ended(1, 9),
        Due("kill", 1),
        Due("restart", 1),
    ):
        assert machine.step(state, late, 0.0) == (state, ())


def test_stop_start_and_restart() -> None:
    state, effects = play(serving(), Chosen("stop"))
    assert effects == (StopServer(), After(machine.STOP_PATIENCE, Due("kill", 1)))
    assert play(state, Due("kill", 1))[1] == (KillServer(),)
    state, effects = play(state, Ended(1, 0))
    assert (state.phase, effects) == ("stopped", ())
    state, effects = play(state, Chosen("start"))
    assert (state.phase, effects[0]) == ("starting", StartServer(2))
    state, effects = play(state, Said(2, link.Listening(URL)), Chosen("restart"), Ended(2, 0))
    assert (state.phase, effects[0]) == ("starting", StartServer(3))


def test_stopping_while_it_waits_for_the_next_attempt_ends_the_attempts() -> None:
    state, effects = play(serving(), Ended(1, 1), Chosen("stop"))
    assert (state.phase, effects) == ("stopped", ())
    assert play(state, Due("restart", 1))[1] == ()


def test_quitting_ends_the_server_first_and_a_second_time_at_once() -> None:
    state, effects = play(serving(), QuitAsked())
    assert effects[0] == StopServer()
    assert play(state, Ended(1, 0))[1] == (Quit(),)
    assert play(state, Due("kill", 1))[1] == (KillServer(),)
    assert play(state, QuitAsked())[1] == (KillServer(),)


@pytest.mark.parametrize("before", [(), (Ended(1, 1),), (Chosen("stop"), Ended(1, 0))])
def test_quitting_without_a_server_is_immediate(before: tuple[Event, ...]) -> None:
    state = serving(*before) if before else State()
    assert play(state, QuitAsked())[1] == (Quit(),)


def test_quitting_while_it_stops_waits_for_that() -> None:
    state, effects = play(serving(), Chosen("restart"), QuitAsked())
    assert effects == ()
    assert play(state, Ended(1, 0))[1] == (Quit(),)


def test_after_sleep_the_server_has_to_give_a_sign_of_life() -> None:
    state, effects = play(serving(), Woken())
    assert effects == (Send(link.Woke()), After(machine.WAKE_PATIENCE, Due("awake", 1)))
    assert play(state, Said(1, READY), Due("awake", 1))[1] == ()
    stuck, effects = play(state, Due("awake", 1))
    assert effects[0] == StopServer()
    assert play(stuck, Ended(1, -9))[1][0] == StartServer(2)
    assert play(State(), Woken())[1] == ()


def test_opening_the_window() -> None:
    assert play(serving(), Summoned())[1] == (RaiseWindow(),)
    assert play(serving(), Chosen("open"))[1] == (RaiseWindow(),)
    assert play(serving(), Chosen("settings"))[1] == (Send(link.Open("settings")),)
    assert play(serving(WindowClosed()), Summoned())[1] == (Send(link.Open("")),)


def test_without_a_server_the_window_says_so_and_shows_the_page_later() -> None:
    state, _ = play(State(), Launched(at_login=True))
    state, effects = play(state, Chosen("settings"))
    assert effects == (ShowMessage("Starting…", ""),)
    assert play(state, Said(1, link.Listening(URL)))[1] == (Send(link.Open("settings")),)
    (message,) = play(serving(), Chosen("stop"), Ended(1, 0), Summoned())[1]
    assert isinstance(message, ShowMessage)
    assert "stopped" in message.title


def test_a_closed_window_stays_closed_when_the_server_is_started_again() -> None:
    state, _ = play(serving(WindowClosed()), Ended(1, 1), Due("restart", 1))
    assert play(state, Said(2, link.Listening(URL)))[1] == ()


def test_copying_gives_the_base_url() -> None:
    assert play(serving(), Chosen("copy"))[1] == (Copy(f"{URL}/v1"),)
    assert play(State(), Chosen("copy"))[1] == ()


def test_a_page_can_leave_the_dock_and_ask_for_the_rest() -> None:
    state, effects = play(serving(), Said(1, link.Ask(7, "set_menu_bar_only", True)))
    assert state.menu_bar_only
    assert effects == (SetDock(False), Send(link.Answer(7)))
    ask = link.Ask(8, "login_item")
    assert play(serving(), Said(1, ask))[1] == (Perform(ask),)


# -- notifications ---------------------------------------------------------------------------------------


def notices(state: State, *events: Event, now: float = 0.0) -> list[str]:
    return [effect.topic for effect in play(state, *events, now=now)[1] if isinstance(effect, Notify)]


def test_needs_are_told_when_no_window_shows_them() -> None:
    need = Said(1, link.Health("needs_api_key"))
    hidden, _ = play(State(), Launched(at_login=True), Said(1, link.Listening(URL)))
    assert notices(hidden, need) == ["key"]
    assert notices(serving(), need) == []
    waited_for, _ = play(State(), Launched(), Said(1, link.Listening(URL)))
    assert notices(waited_for, need) == []


def test_the_same_need_is_not_told_again_for_hours() -> None:
    hidden, _ = play(State(), Launched(at_login=True), Said(1, link.Listening(URL)))
    worse, better = Said(1, link.Health("sdk_bridge_failed", "no network")), Said(1, READY)
    assert notices(hidden, worse, now=10.0) == ["bridge"]
    told, _ = play(hidden, worse, better, now=10.0)
    assert notices(told, worse, now=20.0) == []
    assert notices(told, worse, now=10.0 + 7 * 3600) == ["bridge"]
    assert notices(told, Said(1, link.Health("needs_unlock")), now=20.0) == ["key"]


def test_an_update_is_told_and_stands_in_the_state_until_seen() -> None:
    state, _ = play(serving(), UpdateFound("1.2"))
    assert notices(serving(), UpdateFound("1.2")) == ["update"]
    assert state.update == "1.2"
    assert play(state, UpdateSeen())[0].update is None
    assert play(state, Chosen("check_for_updates"))[0].update is None


# -- whatever happens ------------------------------------------------------------------------------------

MESSAGES = st.sampled_from(
    [
        link.Listening(URL),
        READY,
        link.Health("needs_api_key"),
        link.Health("sdk_bridge_failed", "no"),
        link.Page(PAGE),
        link.Ask(1, "set_menu_bar_only", True),
    ]
)
TIMERS = st.sampled_from(["listening", "awake", "kill", "restart"])
SIMPLE = [Summoned(), WindowClosed(), Woken(), UpdateFound("2"), UpdateSeen(), QuitAsked(), Launched()]
CHOICES = [Chosen(action) for action in ("open", "settings", "copy", "start", "stop", "restart")]


@st.composite
def histories(draw: st.DrawFn) -> list[Event]:
    """Events as a real process and a user make them: what a process says or does carries its own number."""
    return draw(
        st.lists(
            st.one_of(
                st.sampled_from([*SIMPLE[:-1], *CHOICES]),
                st.builds(Said, st.just(0), MESSAGES),
                st.builds(Due, TIMERS, st.just(0)),
                st.builds(Ended, st.just(0), st.integers(-15, 3), st.just("why")),
            ),
            max_size=40,
        )
    )


@given(histories())
def test_one_process_at_most_and_quit_only_without_one(history: list[Event]) -> None:
    state, effects = machine.step(State(), Launched(), 0.0)
    alive, ended = True, False
    now = 0.0
    for event in history:
        now += 1.0
        if isinstance(event, Said | Ended) and not alive:
            continue
        current = replace(event, run=state.run) if isinstance(event, Said | Ended | Due) else event
        alive = alive and not isinstance(event, Ended)
        state, effects = machine.step(state, current, now)
        for effect in effects:
            assert not (isinstance(effect, StartServer) and alive), (current, effects)
            alive = alive or isinstance(effect, StartServer)
            ended = ended or isinstance(effect, Quit)
            assert not (isinstance(effect, Quit) and alive)
        if ended:
            return
        assert alive == (state.phase in ("starting", "running", "stopping"))


def test_every_timer_is_known() -> None:
    assert {"listening", "awake", "kill", "restart"} == set(get_args(Timer))
