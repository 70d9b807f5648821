"""The JSONC editor, against random texts and random changes."""

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from app.agents import jsonc, jsonc_writer

SCALARS = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-(10**12), 10**12),
    st.floats(allow_nan=False, allow_infinity=False),
    st.text(st.characters(codec="utf-8"), max_size=8),
)
NAMES = st.text('abcd"\\/é \n', max_size=3)
VALUES = st.recursive(
    SCALARS,
    lambda inner: st.one_of(st.lists(inner, max_size=4), st.dictionaries(NAMES, inner, max_size=4)),
    max_leaves=12,
)
TRIVIA = st.sampled_from(
    ["", " ", "\n", "\n  ", "\t", " /* a { */ ", " // b }\n", "\n\n// c\n", "/**/", "\r\n"]
)


STOP: st.SearchStrategy[bool] = st.booleans()


@st.composite
def texts(draw: st.DrawFn) -> str:
    """A value written in a way a person (or a bad day) might."""
    return draw(TRIVIA) + _written(draw, draw(VALUES)) + draw(TRIVIA)


def _written(draw: st.DrawFn, value: Any) -> str:
    def gap() -> str:
        return draw(TRIVIA)

    if isinstance(value, dict):
        parts = [f"{gap()}{json.dumps(k)}{gap()}:{gap()}{_written(draw, v)}{gap()}" for k, v in value.items()]
    elif isinstance(value, list):
        parts = [f"{gap()}{_written(draw, inner)}{gap()}" for inner in value]
    else:
        return json.dumps(value, ensure_ascii=draw(st.booleans()))
    comma = draw(st.sampled_from(["", ","])) if parts else ""
    opening, closing = "{}" if isinstance(value, dict) else "[]"
    return opening + ",".join(parts) + comma + gap() + closing


@settings(deadline=None)
@given(texts())
def test_what_is_not_changed_keeps_its_bytes(text: str) -> None:
    assert jsonc_writer.render(jsonc.parse(text)) == text


@settings(deadline=None)
@given(texts(), st.data())
def test_a_changed_text_reads_as_the_changed_value(text: str, data: st.DataObject) -> None:
    document = jsonc.parse(text)
    wanted = jsonc.plain(document.root)
    tree, mirror = document.root, wanted
    for _ in range(data.draw(st.integers(1, 4))):
        _change(data, tree, mirror)
    result = jsonc_writer.render(document)
    assert jsonc.plain(jsonc.parse(result).root) == wanted
    if wanted != jsonc.plain(jsonc.parse(text).root):
        assert result != text


def _change(data: st.DataObject, tree: Any, mirror: Any) -> None:
    """Change the tree and a plain value in the same way, at a random depth."""
    while isinstance(tree, jsonc.Object | jsonc.Array):
        inner = [key for key in _keys(mirror) if isinstance(tree[key], jsonc.Object | jsonc.Array)]
        if not inner or data.draw(STOP):
            break
        key = data.draw(st.sampled_from(inner))
        tree, mirror = tree[key], mirror[key]
    value = data.draw(VALUES)
    if isinstance(mirror, dict):
        if bool(mirror) and data.draw(STOP):
            key = data.draw(st.sampled_from(list(mirror)))
            del tree[key], mirror[key]
        else:
            key = data.draw(NAMES)
            tree[key] = mirror[key] = value
    elif isinstance(mirror, list):
        if bool(mirror) and data.draw(STOP):
            index = data.draw(st.integers(0, len(mirror) - 1))
            del tree[index], mirror[index]
        else:
            tree.append(value)
            mirror.append(value)


def _keys(mirror: Any) -> list[Any]:
    return list(mirror) if isinstance(mirror, dict) else list(range(len(mirror)))


@settings(deadline=None)
@given(texts(), NAMES, VALUES)
def test_comments_survive_an_addition_and_only_new_text_comes(text: str, name: str, value: Any) -> None:
    document = jsonc.parse(text)
    if not isinstance(document.root, jsonc.Object) or name in document.root:
        return
    document.root[name] = value
    result = iter(jsonc_writer.render(document))
    if document.root.entries:
        assert all(
            character in result for character in text
        )  # a subsequence: nothing of the old text is gone


@settings(deadline=None)
@given(texts(), NAMES, VALUES)
def test_an_addition_taken_back_leaves_the_value(text: str, name: str, value: Any) -> None:
    document = jsonc.parse(text)
    if not isinstance(document.root, jsonc.Object) or name in document.root:
        return
    document.root[name] = value
    again = jsonc.parse(jsonc_writer.render(document))
    del again.root[name]
    assert jsonc.plain(jsonc.parse(jsonc_writer.render(again)).root) == jsonc.plain(jsonc.parse(text).root)


def changed(text: str, **members: Any) -> str:
    document = jsonc.parse(text)
    for name, value in members.items():
        if value is None:
            del document.root[name]
        else:
            document.root[name] = value
    return jsonc_writer.render(document)


@pytest.mark.parametrize(
    ("text", "result"),
    [
        ('{"a": 1}', '{"a": 1, "b": {"c": 2}}'),
        ('{"a":1}', '{"a":1,"b":{"c":2}}'),
        ("{}", '{\n  "b": {\n    "c": 2\n  }\n}'),
        ('{\n    "a": 1\n}\n', '{\n    "a": 1,\n    "b": {\n        "c": 2\n    }\n}\n'),
        ('{\n\t"a": 1, // why\n}', '{\n\t"a": 1, // why\n\t"b": {\n\t\t"c": 2\n\t},\n}'),
        ('{\n  "a": 1 // why\n}', '{\n  "a": 1, // why\n  "b": {\n    "c": 2\n  }\n}'),
        ('{\r\n  "a": 1\r\n}', '{\r\n  "a": 1,\r\n  "b": {\r\n    "c": 2\r\n  }\r\n}'),
        ("{\n  // nothing yet\n}\n", '{\n  "b": {\n    "c": 2\n  }\n  // nothing yet\n}\n'),
    ],
)
def test_additions_follow_the_manner_of_the_text(text: str, result: str) -> None:
    assert changed(text, b={"c": 2}) == result


@pytest.mark.parametrize(
    ("text", "result"),
    [
        ('{\n  "a": 1,\n  "b": 2 // gone\n}\n', '{\n  "a": 1\n}\n'),
        ('{\n  "b": 2, // gone\n  "a": 1\n}\n', '{\n  "a": 1\n}\n'),
        ('{\n  "a": 1,\n  // kept\n  "b": 2,\n}\n', '{\n  "a": 1,\n  // kept\n}\n'),
        ('{"a": 1, "b": 2}', '{"a": 1}'),
        ('{"b": 2, "a": 1}', '{"a": 1}'),
        ('{ "a": 1, "b": 2, "c": 3 }', '{ "a": 1, "c": 3 }'),
        ('{"b": 1, "a": 1, "b": 2}', '{"a": 1}'),
    ],
)
def test_removals_leave_no_trace(text: str, result: str) -> None:
    assert changed(text, b=None) == result


def test_many_entries_are_gone_through_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Cline's list of tasks has thousands; going through all of them for each one takes minutes."""
    entries = vars(jsonc.Container)["kept"].fget
    times = 0

    def counted(container: jsonc.Container) -> list[jsonc.Entry]:
        nonlocal times
        times += 1
        return list(entries(container))

    monkeypatch.setattr(jsonc.Container, "kept", property(counted))
    text = json.dumps([{f"name {number}": number for number in range(1000)}, *range(1000)])
    assert jsonc.plain(jsonc.parse(text).root) == json.loads(text)
    assert times == 1


@pytest.mark.parametrize(
    ("text", "where"),
    [
        ('{\n  "a": 1\n  "b": 2\n}', "line 3, column 3: a comma or } is missing"),
        ('{"a": }', "line 1, column 7: a value is missing"),
        ('{"a": 1', "line 1, column 8: a comma or } is missing"),
        ("{a: 1}", "line 1, column 2: a name in double quotes is missing"),
        ('{"a" 1}', "line 1, column 6: a colon is missing"),
        ("[1,,2]", "line 1, column 4: a value is missing"),
        ("{} x", "line 1, column 4: something follows the end"),
        ("{ /* ", "line 1, column 3: a comment does not end"),
        ('{"a": "\\x"}', "line 1, column 7: a string has a bad escape"),
        ("", "line 1, column 1: the text ends too early"),
        ("[" * 300, "nested too deeply"),
    ],
)
def test_a_mistake_is_named_with_its_place(text: str, where: str) -> None:
    with pytest.raises(jsonc.SyntaxFault, match=r"line \d+, column \d+: ") as caught:
        jsonc.parse(text)
    assert where in str(caught.value)
