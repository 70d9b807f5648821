"""The pure core of Agent Setup: what a file of an agent's says, and what it is to say."""

from __future__ import annotations

from collections.abc import Iterator, MutableMapping, MutableSequence
from dataclasses import dataclass
from typing import Any

from app.agents.formats import edit, parse, plain, read
from app.agents.model import At, ConfigFile, Default, Drop, Fill, Head, Item, Own, Setting, Step, Take

MISSING: Any = type("Missing", (), {"__repr__": lambda self: "MISSING", "__bool__": lambda self: False})()


class Unfit(ValueError):
    """A file says something of another kind where a setting of ours belongs."""


@dataclass(frozen=True, slots=True)
class Observed:
    """What a file says: the addresses in our places, whether an entry of ours is there, an outdated one, and
    which of our settings (their paths, for people) differ from what is wanted.
    """

    urls: tuple[str, ...] = ()
    present: bool = False
    outdated: bool = False
    differs: tuple[str, ...] = ()


def observe(text: str | None, file: ConfigFile) -> Observed:
    """Look at a file's text, None where there is no file. Raises Unreadable, Unfit."""
    root = read(text or "", file.format, array=file.array)
    owned = [setting for setting in file.settings if isinstance(setting, Own | Take)]
    fresh = text is None or not text.strip()
    urls = (get(root, at) for at in file.urls)
    return Observed(
        urls=tuple(url for url in urls if isinstance(url, str)),
        present=any(_is_ours(root, setting) for setting in owned),
        outdated=any(_outdated(root, setting) for setting in file.settings),
        differs=tuple(name for setting in file.settings for name in _differs(root, setting, fresh)),
    )


def install(text: str | None, file: ConfigFile) -> str:
    """Give the file's text with our settings in it. Raises Unreadable, Unfit."""
    fresh = text is None or not text.strip()

    def change(root: Any) -> None:
        for setting in file.settings:
            _install(root, setting, fresh)

    return edit(text or "", file.format, change, array=file.array)


def remove(text: str, file: ConfigFile, original: str | None, *, known: bool = True) -> str | None:
    """Give the file's text without our settings, None where the file should go.

    `original` is the text from before the installation (None: there was no file), if that is `known`: former
    values come from there, and lists and tables that it had stay, even empty.
    """
    before = parse(original or "", file.format, array=file.array).root
    for setting in file.settings:
        if isinstance(setting, Own):  # an older one of ours, with what was there only for it
            _delete(before, setting.at, None)

    def change(root: Any) -> None:
        for setting in reversed(file.settings):
            _remove(root, setting, before)

    result = edit(text, file.format, change, array=file.array)
    if original is None and known and _only_heads(result, file):
        return None
    return result


def get(root: Any, at: At) -> Any:
    """Give what is at a path, or MISSING."""
    for step in at:
        try:
            root = root[_index(root, step)]
        except (KeyError, IndexError, TypeError, Unfit):
            return MISSING
    return root


def leaves(setting: Own | Take) -> Iterator[tuple[At, Any]]:
    """Give the single values that a setting consists of, each with its path."""
    yield from _leaves(setting.at, setting.value)


def _leaves(at: At, value: Any) -> Iterator[tuple[At, Any]]:
    if isinstance(value, dict) and value:
        for key, inner in value.items():
            yield from _leaves((*at, key), inner)
    elif isinstance(value, list) and value and all(isinstance(item, dict) for item in value):
        for item in value:
            key = next(iter(item))
            yield from _leaves((*at, Item(key, item[key])), item)
    else:
        yield at, value


def _install(root: Any, setting: Setting, fresh: bool) -> None:
    match setting:
        case Own() | Take():
            _merge(root, setting)
        case Default():
            current = get(root, setting.at)
            if not current or _is_outdated(current, setting):
                _put(root, setting.at, setting.value)
        case Drop():
            _delete(root, setting.at, None)
        case Fill() if get(root, setting.at) is MISSING:
            _put(root, setting.at, setting.value)
        case Head() if fresh:
            _put(root, setting.at, setting.value)


def _remove(root: Any, setting: Setting, before: Any) -> None:
    match setting:
        case Own():
            _delete(root, setting.at, before)
        case Take():
            for at, value in leaves(setting):
                if plain(get(root, at)) == value:
                    _restore(root, at, before)
        case Fill() if get(before, setting.at) is MISSING:
            _delete(root, setting.at, before)
        case Default():
            current = get(root, setting.at)
            if isinstance(current, str) and current.startswith(setting.ours):
                stale = _is_outdated(get(before, setting.at), setting)
                _restore(root, setting.at, None if stale else before)


def _restore(root: Any, at: At, before: Any) -> None:
    former = get(before, at)
    if former is MISSING:
        _delete(root, at, before)
    else:
        _put(root, at, plain(former))


def _merge(root: Any, setting: Own | Take) -> None:
    """Put a setting whole where nothing is, else those of its values that differ."""
    if get(root, setting.at) is MISSING:
        _put(root, setting.at, setting.value)
        return
    for at, value in leaves(setting):
        if plain(get(root, at)) != value:
            _put(root, at, value)


def _put(root: Any, at: At, value: Any) -> None:
    """Put `value` at a path; what is missing on the way is made, with the value in it at once."""
    for depth, step in enumerate(at):
        rest = at[depth + 1 :]
        current = _child(root, step)
        if not rest or current is MISSING or current is None:
            _set(root, step, _wrapped(rest, value))
            return
        if not isinstance(current, MutableMapping | MutableSequence):
            raise Unfit(f"{name_of(at[: depth + 1])} is {plain(current)!r} where a table is expected")
        root = current


def _wrapped(rest: At, value: Any) -> Any:
    for step in reversed(rest):
        value = [value] if isinstance(step, Item) else {step: value}
    return value


def _child(root: Any, step: Step) -> Any:
    try:
        return root[_index(root, step)]
    except (KeyError, IndexError):
        return MISSING


def _index(root: Any, step: Step) -> Any:
    """Give what `root` has `step` under; raises KeyError, IndexError, Unfit."""
    if isinstance(step, str):
        if not isinstance(root, MutableMapping):
            raise Unfit(f"{step} is looked for in a list where a table is expected")
        return step
    if not isinstance(root, MutableSequence):
        raise Unfit(f"a table stands where a list with {step.key} {step.value!r} is expected")
    for index, item in enumerate(root):
        if isinstance(item, MutableMapping) and item.get(step.key) == step.value:
            return index
    raise IndexError


def _set(root: Any, step: Step, value: Any) -> None:
    try:
        root[_index(root, step)] = value
    except IndexError:
        root.append(value)


def _delete(root: Any, at: At, before: Any) -> None:
    """Delete what is at a path, and what is left empty above it, but for what `before` had."""
    parent = get(root, at[:-1])
    if get(root, at) is MISSING:
        return
    del parent[_index(parent, at[-1])]
    if len(at) > 1 and not parent and get(before, at[:-1]) is MISSING:
        _delete(root, at[:-1], before)


def _is_ours(root: Any, setting: Own | Take) -> bool:
    """Say whether what is at the setting's place is of our making."""
    current = get(root, setting.at)
    if isinstance(setting, Own):
        return current is not MISSING
    return setting.mark and bool(plain(current) == setting.value)


def _outdated(root: Any, setting: Setting) -> bool:
    match setting:
        case Drop():
            return get(root, setting.at) is not MISSING
        case Default():
            return _is_outdated(get(root, setting.at), setting)
    return False


def _is_outdated(current: Any, setting: Default) -> bool:
    return isinstance(current, str) and bool(setting.outdated) and current.startswith(setting.outdated)


def _differs(root: Any, setting: Setting, fresh: bool) -> list[str]:
    match setting:
        case Own() | Take():
            return [name_of(at) for at, value in leaves(setting) if plain(get(root, at)) != value]
        case Default():
            current = get(root, setting.at)
            return [name_of(setting.at)] if not current or _is_outdated(current, setting) else []
        case Fill():
            return [name_of(setting.at)] if get(root, setting.at) is MISSING else []
        case Drop():
            return [name_of(setting.at)] if _outdated(root, setting) else []
    return []


def _only_heads(text: str, file: ConfigFile) -> bool:
    root = read(text, file.format, array=file.array)
    heads = {setting.at[0] for setting in file.settings if isinstance(setting, Head)}
    return not root or (isinstance(root, dict) and set(root) <= heads)


def name_of(at: At) -> str:
    """Write a path for people: models[name=x].apiBase."""
    text = ""
    for step in at:
        text += f"[{step.key}={step.value}]" if isinstance(step, Item) else f".{step}" if text else step
    return text
