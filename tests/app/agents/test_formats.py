"""TOML and YAML as people write them: our entry in, our entry out, everything else as it was."""

import tomllib
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from app.agents.changes import install, observe, remove
from app.agents.formats import Unreadable, edit, parse, plain
from app.agents.model import ConfigFile, Item, Own, Take
from tests.app.agents.conftest import URL

PROVIDER = {
    "name": "API for Cursor",
    "base_url": URL,
    "auth": {"command": "/bin/echo", "args": ["cursor-local"]},
}


def toml() -> ConfigFile:
    from pathlib import Path

    return ConfigFile(Path("c.toml"), "toml", (Own(("model_providers", "cursorapi"), PROVIDER),))


def yaml(*settings: Own | Take) -> ConfigFile:
    from pathlib import Path

    return ConfigFile(Path("c.yaml"), "yaml", settings)


TOMLS = [
    "",
    "# only a comment\n",
    'model = "x"\n',
    'model = "x"',
    "[model_providers]\n",
    '[model_providers.acme]\nname = "Acme"\n\n\n# the end\n',
    'model_providers.acme.name = "Acme"\n',
    '[a]\nb = """\n[model_providers.cursorapi]\nnot = "a table"\n"""\n',
    "[a]\nb = [\n  [1],\n  [2],\n]\n\n[[c]]\nd = 1\n\n[[c]]\nd = 2\n",
    '[ model_providers . "acme" ] # odd\nname = "Acme"\n[other]\n[model_providers.zeta]\nname = "Z"\n',
    "[a] # why\nkey = 1979-05-27T07:32:00Z\n\t[a.b]\n\tc = 1_000\n",
]


@pytest.mark.parametrize("text", TOMLS)
def test_a_toml_table_comes_and_goes(text: str) -> None:
    installed = install(text, toml())
    wanted = tomllib.loads(text)
    wanted.setdefault("model_providers", {})["cursorapi"] = PROVIDER
    assert tomllib.loads(installed) == wanted
    assert all(line in installed.splitlines() for line in text.splitlines())
    assert observe(installed, toml()).differs == ()
    assert install(installed, toml()) == installed
    left = remove(installed, toml(), text)
    assert left is not None
    assert left.rstrip("\n") == text.rstrip("\n")


def test_characters_that_end_no_line_stay_within_theirs() -> None:
    text = "# a\u2028# b\x85# c\na = 1"
    installed = install(text, toml())
    assert installed.startswith(f"{text}\n")
    assert remove(installed, toml(), text) == f"{text}\n"


def test_an_inline_table_is_added_to() -> None:
    text = 'model_providers = { acme = { name = "Acme" } }\n'
    installed = install(text, toml())
    assert tomllib.loads(installed)["model_providers"] == {"acme": {"name": "Acme"}, "cursorapi": PROVIDER}
    left = remove(installed, toml(), text)
    assert left is not None
    assert tomllib.loads(left) == tomllib.loads(text)


def test_a_changed_value_in_a_toml_table_keeps_the_line() -> None:
    text = install("", toml()).replace(f'"{URL}"', '"http://127.0.0.1:1/v1"   # mine')
    assert f'base_url = "{URL}"   # mine\n' in install(text, toml())


YAMLS = [
    "",
    "# only a comment\n",
    "---\nname: x\n",
    "models: []\n",
    "models:\n",
    "models: [{name: a}, {name: b}]\n",
    "models:\n- name: a\n  x: 'quoted'\n- name: b\nother:   1\n",
    "models:\n    - name: a   # odd\n      deep:\n            very: yes\n\n\n# end\n",
    "a: &anchor {b: 1}\nc: *anchor\nmodels:\n  - <<: *anchor\n    name: a\n",
    "text: |\n  - name: no item\n    of a list\nfolded: >-\n  a\n  b\nmodels:\n  - name: a\n",
    "on: yes\noff: ~\nn: 0o14\nd: 2001-12-14\nt: 12:30:45\n",
    '"quoted key": "\\u263A"\n? complex\n: value\n',
]
ITEM = Own(("models", Item("name", "ours")), {"name": "ours", "roles": ["chat", "edit"], "n": 1})


@pytest.mark.parametrize("text", YAMLS)
def test_a_yaml_item_comes_and_goes(text: str) -> None:
    file = yaml(ITEM)
    installed = install(text, file)
    tree = plain(parse(installed, "yaml").root)
    assert tree["models"][-1] == ITEM.value
    assert install(installed, file) == installed
    left = remove(installed, file, text)
    assert left is not None
    before, after = plain(parse(text, "yaml").root), plain(parse(left, "yaml").root)
    assert after == {**before, **({"models": []} if before.get("models", 0) is None else {})}
    for line in text.splitlines():
        if "models:" not in line:
            assert line in installed.splitlines(), line


@settings(deadline=None)
@given(
    st.dictionaries(
        st.text("abcxyz", min_size=1, max_size=4),
        st.recursive(
            st.one_of(st.integers(), st.booleans(), st.text("ab: #-'\"\n{}[]é", max_size=8), st.none()),
            lambda inner: st.one_of(
                st.lists(inner, max_size=3), st.dictionaries(st.text("kv", min_size=1), inner, max_size=3)
            ),
            max_leaves=8,
        ),
        max_size=5,
    ),
    st.sampled_from([(2, 4, 2), (2, 2, 0), (4, 6, 4)]),
)
def test_any_yaml_reads_as_what_it_was_with_ours(value: dict[str, Any], manner: tuple[int, int, int]) -> None:
    import io

    from ruamel.yaml import YAML

    writer = YAML()
    writer.indent(mapping=manner[0], sequence=manner[1], offset=manner[2])
    stream = io.StringIO()
    writer.dump(value, stream)
    installed = install(stream.getvalue(), yaml(Take(("our-key",), "v")))
    assert plain(parse(installed, "yaml").root) == {**value, "our-key": "v"}


def test_nothing_to_change_gives_back_the_same_text_however_it_is_written() -> None:
    text = "a:    1\nb: {x:   2}\n"
    assert edit(text, "yaml", lambda root: None) is text


def test_lines_that_end_differently_keep_their_ends() -> None:
    text = "a: 1\r\nb: 2\nc: 3\r\n"
    assert install(text, yaml(Take(("b",), 5))) == "a: 1\r\nb: 5\r\nc: 3\r\n"
    assert install(text, yaml(Take(("d",), 4))) == text + "d: 4\r\n"


@pytest.mark.parametrize(
    ("format", "text", "where"),
    [
        ("toml", "a = 1\nb = = 2\n", "line 2, column "),
        ("toml", "a = 1\na = 2\n", 'Key "a" already exists'),
        ("yaml", "a: 1\n b: 2\n", "line 2, column 3"),
        ("yaml", "a: [1\nb: 2\n", "line 2"),
        ("yaml", "a: 1\na: 2\n", "duplicate key"),
        ("yaml", "- a\n", "a table of names is expected"),
        ("toml", "a = 1\n" + "# x\n" * 75_000, "longer than 300 kB"),
        ("yaml", "a: 1\n" + "# x\n" * 25_000, "longer than 100 kB"),
    ],
)
def test_mistakes_are_told_with_their_place(format: Any, text: str, where: str) -> None:
    with pytest.raises(Unreadable) as caught:
        parse(text, format)
    assert where in str(caught.value)
    assert "\n" not in str(caught.value)
