"""Agent Setup for the pages and the command line: look, show what would change, change it, take it back."""

from __future__ import annotations

import contextlib
import hashlib
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import ParamSpec, TypeVar

from app.agents import changes as core
from app.agents import detect, disk
from app.agents.backups import Backups, Entry, Saved
from app.agents.changes import Observed, Unfit
from app.agents.diff import unified
from app.agents.disk import Change
from app.agents.formats import Unreadable
from app.agents.home import Home
from app.agents.model import Action, Agent, ConfigFile, State, Target, is_local
from app.agents.registry import AGENTS, find
from app.errors import AppError
from app.files import cannot, locked, make_private

P = ParamSpec("P")
T = TypeVar("T")

CHANGED = "changed between preview and install"
NEEDS_TOOLS = (
    "It needs tools in Responses: turn them on in this app's settings, or start the server with "
    "API_FOR_CURSOR_RESPONSES_TOOLS=1."
)


@dataclass(frozen=True, slots=True)
class AgentView:
    """An agent as people see it: a status word and a sentence that explains it.

    `files` are those it is set up in; `actions` what can be done now, of "install", "update", "remove",
    "undo".
    """

    name: str
    title: str
    state: State
    sentence: str
    files: tuple[Path, ...]
    actions: tuple[str, ...]
    after: str
    website: str
    responses_tools: bool


@dataclass(frozen=True, slots=True)
class FileDiff:
    """What would become of a file: a unified diff, secrets masked; empty where nothing would."""

    path: Path
    diff: str


@dataclass(frozen=True, slots=True)
class Preview:
    """What an action would change. `token` stands for exactly these changes to exactly these files."""

    name: str
    action: Action
    token: str
    files: tuple[FileDiff, ...]

    @property
    def empty(self) -> bool:
        """Whether nothing would change."""
        return not any(file.diff for file in self.files)


@dataclass(frozen=True, slots=True)
class Result:
    """What was done: the files changed, and where their former contents are (None: there were none)."""

    name: str
    title: str
    action: str
    files: tuple[Path, ...]
    backup: Path | None
    after: str = ""


@dataclass(frozen=True, slots=True)
class _Look:
    """An agent's files as they are now."""

    files: tuple[ConfigFile, ...]
    contents: tuple[bytes | None, ...]
    observed: tuple[Observed, ...]

    @property
    def all(self) -> Observed:
        """What all files say together."""
        return Observed(
            urls=tuple(url for one in self.observed for url in one.urls),
            present=any(one.present for one in self.observed),
            outdated=any(one.outdated for one in self.observed),
            differs=tuple(name for one in self.observed for name in one.differs),
        )


@dataclass(frozen=True, slots=True)
class Service:
    """Agent Setup for a user's home, pointing agents at `target`. It reads files: keep off an event loop."""

    home: Home
    target: Target
    clock: Callable[[], float] = time.time

    def overview(self) -> list[AgentView]:
        """Look at every agent."""
        return [self.view(agent.name) for agent in AGENTS]

    def view(self, name: str) -> AgentView:
        """Look at one agent; what cannot be read is a status, not an error."""
        agent = find(name)
        paths: tuple[Path, ...] = ()
        try:
            paths = tuple(file.path for file in agent.files(self.home, self.target))
            look = self._look(agent)
            found = detect.sign(agent.signs(self.home), self.home)
            state, sentence = _status(look.all, self.target.base_url, found)
        except AppError as error:
            state, sentence = "unreadable", f"{error}."
        actions = (*_actions(state), *(("undo",) if self._undoable(agent) else ()))
        told = agent.after, agent.website, agent.responses_tools
        return AgentView(agent.name, agent.title, state, sentence, paths, actions, *told)

    def preview(self, name: str, action: Action) -> Preview:
        """Work out what an action would change, without changing anything. Raises AppError."""
        agent = find(name)
        look = self._look(agent)
        plan = self._plan(agent, action, look)
        diffs = tuple(
            FileDiff(change.path, unified(change, secret=file.secret))
            for file, change in zip(look.files, plan, strict=True)
        )
        return Preview(agent.name, action, _token(agent, action, plan), diffs)

    def apply(self, name: str, action: Action, token: str) -> Result:
        """Make the changes that a preview showed; raises AppError if they would not be the same now."""
        agent = find(name)
        with self._alone():
            look = self._look(agent)
            plan = self._plan(agent, action, look)
            if _token(agent, action, plan) != token:
                raise AppError(f"{agent.title}'s configuration {CHANGED}", cure="look at the new preview")
            return self._make(agent, action, plan, installed=action == "install")

    def install(self, name: str) -> Result:
        """Install or update without looking at the changes first."""
        return self.apply(name, "install", self.preview(name, "install").token)

    def remove(self, name: str) -> Result:
        """Remove without looking at the changes first."""
        return self.apply(name, "remove", self.preview(name, "remove").token)

    def undo(self, name: str, *, force: bool = False) -> Result:
        """Put back what the newest change replaced; AppError if a file was changed since, unless `force`."""
        agent = find(name)
        with self._alone():
            backups = self._backups(agent)
            entries = backups.entries()
            if not entries:
                raise AppError(f"there is nothing to undo for {agent.title}")
            plan = [
                self._former(backups, entries[-1], index, force) for index in range(len(entries[-1].files))
            ]
            installed = len(entries) > 1 and entries[-2].installed
            result = self._make(agent, "undo", plan, installed=installed)
            disk.remove_folders([Path(folder) for folder in entries[-1].folders])
            return replace(result, after="")

    def _look(self, agent: Agent) -> _Look:
        files = agent.files(self.home, self.target)
        contents = tuple(disk.read(file.path) for file in files)
        observed = tuple(
            _reading(file, core.observe, disk.text_of(file.path, data), file)
            for file, data in zip(files, contents, strict=True)
        )
        return _Look(files, contents, observed)

    def _plan(self, agent: Agent, action: Action, look: _Look) -> list[Change]:
        if action == "install":
            return [_install(file, data) for file, data in zip(look.files, look.contents, strict=True)]
        return self._removal(agent, look)

    def _removal(self, agent: Agent, look: _Look) -> list[Change]:
        """Put back the very files of before, if they are as we left them; else take out what is ours."""
        backups = self._backups(agent)
        run = backups.installation()
        copies = _first_copies(run)
        originals = _readable(backups, copies)
        now = {str(file.path): data for file, data in zip(look.files, look.contents, strict=True)}
        whole = len(originals) == len(copies) and _untouched(run, now)
        if whole and not self._had_ours(look.files, originals):
            return [
                Change(file.path, data, originals[str(file.path)])
                if str(file.path) in originals
                else _remove(file, data, originals)
                for file, data in zip(look.files, look.contents, strict=True)
            ]
        return [_remove(file, data, originals) for file, data in zip(look.files, look.contents, strict=True)]

    def _had_ours(self, files: tuple[ConfigFile, ...], originals: dict[str, bytes | None]) -> bool:
        """Say whether the files of before the installation had entries of ours, which must not come back."""
        return any(
            _reading(file, core.observe, disk.text_of(file.path, originals[str(file.path)]), file).present
            for file in files
            if str(file.path) in originals
        )

    def _make(self, agent: Agent, action: str, plan: list[Change], *, installed: bool) -> Result:
        """Keep what is there, then change it."""
        wanted = [change for change in plan if change.before != change.after]
        if not wanted:
            return Result(agent.name, agent.title, action, (), None)
        for change in wanted:
            disk.check(change)
        backups = self._backups(agent)
        backups.prepare(action, wanted, installed=installed, now=self.clock())
        made = disk.write(wanted)
        backups.done(made)
        if action == "remove":
            disk.remove_folders([Path(folder) for entry in backups.entries() for folder in entry.folders])
        paths = tuple(change.path for change in wanted)
        kept = backups.folder if any(change.before is not None for change in wanted) else None
        after = f"{agent.after} {NEEDS_TOOLS}" if agent.responses_tools else agent.after
        return Result(agent.name, agent.title, action, paths, kept, after if installed else "")

    def _former(self, backups: Backups, entry: Entry, index: int, force: bool) -> Change:
        saved = entry.files[index]
        path = Path(saved.path)
        present = disk.read(path)
        if disk.digest(present) != saved.after and not force:
            raise AppError(
                f"{path} was changed since", cure="undo with --force to put the older one in its place"
            )
        return Change(path, present, backups.former(saved), saved.mode)

    def _undoable(self, agent: Agent) -> bool:
        with contextlib.suppress(AppError):
            return bool(self._backups(agent).entries())
        return False

    def _backups(self, agent: Agent) -> Backups:
        return Backups(self.home.data / "backups" / agent.name)

    @contextlib.contextmanager
    def _alone(self) -> Iterator[None]:
        """Keep the app and the command line from changing agents at the same time."""
        folder = self.home.data / "backups"
        try:
            make_private(folder)
        except OSError as error:
            raise cannot("write", folder, error) from error
        with locked(folder / "lock"):
            yield


def _status(all: Observed, wanted: str, found: str | None) -> tuple[State, str]:
    """Give the status word and its sentence for what an agent's files say; `found` shows that it is here."""
    hosted = [url for url in all.urls if not is_local(url)]
    if hosted:
        return "hosted", f"Points at {hosted[0]}; update it to use this app."
    if all.present and not all.differs:
        return "installed", "Set up for this app."
    if all.present and (others := [url for url in all.urls if not url.startswith(wanted)]):
        return "needs update", f"Points at {others[0]}; this app is at {wanted}."
    if all.present or all.outdated:
        return "needs update", f"Set up differently: {_some(all.differs)}."
    if found is None:
        return "not found", "Not found on this machine; it can be set up all the same."
    return "install", f"Found ({found}), not set up yet."


def _some(names: tuple[str, ...]) -> str:
    return ", ".join(names[:3]) + (f" and {len(names) - 3} more" if len(names) > 3 else "")


def _actions(state: State) -> tuple[str, ...]:
    return {
        "not found": ("install",),
        "install": ("install",),
        "needs update": ("update", "remove"),
        "hosted": ("update",),
        "installed": ("remove",),
        "unreadable": (),
    }[state]


def _token(agent: Agent, action: Action, plan: list[Change]) -> str:
    """Give what stands for these changes and no others."""
    facts = [agent.name, action]
    facts += [f"{change.path} {disk.digest(change.before)} {disk.digest(change.after)}" for change in plan]
    return hashlib.sha256("\n".join(facts).encode()).hexdigest()[:32]


def _install(file: ConfigFile, data: bytes | None) -> Change:
    text = disk.text_of(file.path, data)
    after = disk.bytes_of(_reading(file, core.install, text, file), data)
    return Change(file.path, data, after, mode=0o600 if file.private else 0o644)


def _remove(file: ConfigFile, data: bytes | None, originals: dict[str, bytes | None]) -> Change:
    text = disk.text_of(file.path, data)
    if text is None:
        return Change(file.path, None, None)
    known = str(file.path) in originals
    original = disk.text_of(file.path, originals.get(str(file.path)))
    after = _reading(file, core.remove, text, file, original, known=known)
    return Change(file.path, data, None if after is None else disk.bytes_of(after, data))


def _reading(file: ConfigFile, work: Callable[P, T], *arguments: P.args, **named: P.kwargs) -> T:
    """Do `work` on a file's text; what is wrong with the text is an AppError that names the file."""
    try:
        return work(*arguments, **named)
    except (Unreadable, Unfit) as fault:
        raise AppError(f"{file.path}: {fault}", cure="correct it there, then try again") from fault
    except RecursionError:
        raise AppError(f"{file.path}: nested too deeply", cure="correct it there, then try again") from None


def _first_copies(run: list[Entry]) -> dict[str, Saved]:
    """Give, for each file of an installation, the earliest copy: what it was before."""
    copies: dict[str, Saved] = {}
    for entry in run:
        for saved in entry.files:
            copies.setdefault(saved.path, saved)
    return copies


def _readable(backups: Backups, copies: dict[str, Saved]) -> dict[str, bytes | None]:
    """Give the files' bytes from before, but those whose copy is gone or damaged: removal can do without."""
    originals: dict[str, bytes | None] = {}
    for path, saved in copies.items():
        with contextlib.suppress(AppError):
            originals[path] = backups.former(saved)
    return originals


def _untouched(run: list[Entry], now: dict[str, bytes | None]) -> bool:
    """Say whether nobody but us changed the files since the installation began, up to now."""
    last: dict[str, str] = {}
    for entry in run:
        for saved in entry.files:
            if last.setdefault(saved.path, saved.before) != saved.before:
                return False
            last[saved.path] = saved.after
    return all(path in now and disk.digest(now[path]) == after for path, after in last.items())
