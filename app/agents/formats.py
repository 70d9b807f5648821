"""Other people's files read, changed and written with all else in them kept: JSON with comments, TOML, YAML.

A text is changed through a tree that behaves like dicts and lists. Lines that the change does not concern
keep their bytes, whatever the library that writes the format thinks of them, and the result is read back
and compared before anyone gets it.
"""

from __future__ import annotations

import contextlib
import io
import re
import tomllib
from collections.abc import Callable, MutableMapping, MutableSequence
from dataclasses import dataclass
from typing import Any

from app.agents import jsonc, jsonc_writer, tables
from app.agents.lines import differences, lines
from app.agents.model import Format

LONGEST = {"toml": 300_000, "yaml": 100_000}  # characters, for which the libraries take some seconds


class Unreadable(ValueError):
    """A text is not of its format; says where."""


@dataclass(frozen=True, slots=True)
class Tree:
    """A parsed text: `root` reads and changes like a dict or list, `render` writes it."""

    root: Any
    render: Callable[[], str]


def parse(text: str, format: Format, *, array: bool = False) -> Tree:
    """Parse a text, an empty one as an empty table or list; raises Unreadable."""
    if len(text) > LONGEST.get(format, len(text)):
        raise Unreadable(f"it is longer than {LONGEST[format] // 1000} kB, too long to change safely")
    tree = {"json": _json, "toml": _toml, "yaml": _yaml}[format](text, array)
    kind: Any = MutableSequence if array else MutableMapping
    if not isinstance(tree.root, kind):
        raise Unreadable(f"a {'list' if array else 'table of names'} is expected")
    return tree


def edit(text: str, format: Format, change: Callable[[Any], None], *, array: bool = False) -> str:
    """Give `text` with `change` made to its root.

    What has no effect gives back the very same text. Raises Unreadable, also where the format's library
    cannot write what it read.
    """
    unix = _unix(text)
    tree = parse(unix, format, array=array)
    before = plain(tree.root)
    change(tree.root)
    wanted = plain(tree.root)
    if wanted == before:
        return text
    new = tree.render()
    candidates = [new]
    if format == "yaml":  # the others' writers leave what they do not change as it stands
        candidates.insert(0, _merge(unix, parse(unix, format, array=array).render(), new))
    for candidate in candidates:
        if _reads_as(candidate, format, wanted, array=array):
            return _endings(text, candidate)
    raise Unreadable("it is written in a way that cannot be changed safely; change it by hand")


def read(text: str, format: Format, *, array: bool = False) -> Any:
    """Give what a text says as dicts, lists and scalars; raises Unreadable."""
    if format == "toml":
        with contextlib.suppress(ValueError):  # tomlkit, much slower, says better what is wrong
            return tomllib.loads(text)
    return plain(parse(text, format, array=array).root)


def plain(value: Any) -> Any:
    """Give a tree as dicts, lists and scalars; tomlkit's knows how by itself."""
    return jsonc.plain(value.unwrap() if hasattr(value, "unwrap") else value)


def _reads_as(text: str, format: Format, wanted: Any, *, array: bool) -> bool:
    try:
        return bool(read(text, format, array=array) == wanted)
    except Unreadable:
        return False


def _json(text: str, array: bool) -> Tree:
    if not text.strip():
        text = "[]\n" if array else "{}\n"
    try:
        document = jsonc.parse(text)
    except jsonc.SyntaxFault as fault:
        raise Unreadable(str(fault)) from fault
    return Tree(document.root, lambda: jsonc_writer.render(document))


def _toml(text: str, array: bool) -> Tree:
    import tomlkit
    from tomlkit.exceptions import ParseError, TOMLKitError

    try:
        document = tomlkit.parse(text)
    except ParseError as fault:
        raise Unreadable(f"line {fault.line}, column {fault.col + 1}: {_toml_reason(fault)}") from fault
    except (TOMLKitError, ValueError) as fault:
        raise Unreadable(str(fault)) from fault
    before = plain(document)
    if array:
        raise Unreadable("a list is expected")
    return Tree(document, lambda: _toml_text(text, before, document))


def _toml_text(text: str, before: Any, document: Any) -> str:
    """Write the text with whole tables put at its end or cut out, or, for other changes, as tomlkit does."""
    import tomlkit

    wanted = plain(document)
    with_tables = tables.replaced(text, before, wanted)
    if _reads_as(with_tables, "toml", wanted, array=False):
        return with_tables
    return tomlkit.dumps(document)


def _toml_reason(fault: Exception) -> str:
    return re.sub(r" at line \d+ col \d+$", "", str(fault))


def _yaml(text: str, array: bool) -> Tree:
    from ruamel.yaml import YAML
    from ruamel.yaml.comments import CommentedMap, CommentedSeq
    from ruamel.yaml.error import MarkedYAMLError, YAMLError

    yaml = YAML()
    yaml.preserve_quotes = True
    yaml.width = 1_000_000
    yaml.explicit_start = bool(re.search(r"^---", text, re.M))
    offset = _offset(text)
    yaml.indent(mapping=2, sequence=offset + 2, offset=offset)
    try:
        root = yaml.load(text)
    except MarkedYAMLError as fault:
        mark = fault.problem_mark
        where = f"line {mark.line + 1}, column {mark.column + 1}: " if mark else ""
        raise Unreadable(f"{where}{fault.problem or fault.context or 'no YAML'}") from fault
    except (YAMLError, ValueError) as fault:
        raise Unreadable(str(fault).splitlines()[0]) from fault
    if root is None:
        root = CommentedSeq() if array else CommentedMap()
        return Tree(root, lambda: _comments(text) + (_dump(yaml, root) if root else ""))
    return Tree(root, lambda: _dump(yaml, root) if root else _comments(text))


def _offset(text: str) -> int:
    """Give how far a YAML text's dashes stand in from what they belong to; 0 in a text that is a list."""
    if re.match(r"(?:[ \t]*(?:#[^\n]*)?\n|---[^\n]*\n)*-[ ]", text):
        return 0
    owner = r"^([ ]*)[^\s#-][^\n]*:[ \t]*(?:#[^\n]*)?\n"
    dash = re.search(owner + r"(?:[ ]*(?:#[^\n]*)?\n)*([ ]*)-[ ]", text, re.M)
    return len(dash[2]) - len(dash[1]) if dash else 2


def _comments(text: str) -> str:
    """Give the comments of a YAML text in which nothing else is, or will be."""
    return "".join(f"{line}\n" for line in text.split("\n") if line.lstrip().startswith("#"))


def _close_up(node: Any) -> None:
    """Let comments at a line's end follow its value, not stand in the column they stood in: values change."""
    for tokens in node.ca.items.values():
        for token in tokens:
            if hasattr(token, "start_mark") and token.value.startswith("#"):
                token.start_mark.column = 0
    for child in node.values() if isinstance(node, MutableMapping) else node:
        if hasattr(child, "ca"):
            _close_up(child)


def _dump(yaml: Any, root: Any) -> str:
    _close_up(root)
    stream = io.StringIO()
    yaml.dump(root, stream)
    return stream.getvalue()


def _unix(text: str) -> str:
    return text.replace("\r\n", "\n")


def _merge(text: str, normal: str, new: str) -> str:
    """Make the change from `normal` to `new` in `text`; `normal` is `text` as its library writes it."""
    if normal == text:
        return new
    ours, base, wanted = (lines(part) for part in (text, normal, new))
    kept: dict[int, str] = {}  # lines of `normal` that stand for a line of `text`
    for tag, i1, i2, j1, j2 in differences(base, ours):
        if tag == "equal" or i2 - i1 == j2 - j1:
            kept.update(zip(range(i1, i2), ours[j1:j2], strict=True))
        elif i1 < i2:
            kept[i1] = "".join(ours[j1:j2])
            kept.update(dict.fromkeys(range(i1 + 1, i2), ""))
        elif i1 > 0:
            kept[i1 - 1] = kept[i1 - 1] + "".join(ours[j1:j2])
    result = []
    for tag, i1, i2, j1, j2 in differences(base, wanted):
        result += [kept[i] for i in range(i1, i2)] if tag == "equal" else wanted[j1:j2]
    return "".join(result)


def _endings(text: str, new: str) -> str:
    """Give `new`'s lines the ends that `text` has: those of the same lines, else those of most."""
    if "\r\n" not in text:
        return new
    before, after = lines(text), lines(new)
    common = "\r\n" if text.count("\r\n") * 2 >= text.count("\n") else "\n"
    plain_before = [_unix(line) for line in before]
    result = []
    for tag, i1, i2, j1, j2 in differences(plain_before, after):
        result += before[i1:i2] if tag == "equal" else [line.replace("\n", common) for line in after[j1:j2]]
    return "".join(result)
