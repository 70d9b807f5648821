import difflib
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.agents.lines import differences, lines

FEW = st.lists(st.sampled_from(["a\n", "b\n", "c\n", "\n"]), max_size=12)


@given(FEW, FEW)
def test_the_differences_lead_from_one_text_to_the_other(one: list[str], other: list[str]) -> None:
    made: list[str] = []
    at = 0
    for tag, i1, i2, j1, j2 in differences(one, other):
        assert (i1, j1) == (at, len(made))
        assert (tag == "equal") == (one[i1:i2] == other[j1:j2])
        made += one[i1:i2] if tag == "equal" else other[j1:j2]
        at = i2
    assert (at, made) == (len(one), other)


def test_what_both_begin_and_end_with_is_not_compared_again(monkeypatch: pytest.MonkeyPatch) -> None:
    compared: list[tuple[int, int]] = []
    real = difflib.SequenceMatcher

    def matcher(junk: None, one: list[str], other: list[str], autojunk: bool) -> Any:
        compared.append((len(one), len(other)))
        return real(junk, one, other, autojunk)

    monkeypatch.setattr(difflib, "SequenceMatcher", matcher)
    alike = ["# the same\n"] * 5000
    found = list(differences([*alike, "old\n", *alike], [*alike, "new\n", "more\n", *alike]))
    assert compared == [(1, 2)]
    assert [tag for tag, *_ in found] == ["equal", "replace", "equal"]


def test_lines_end_at_line_feeds_only() -> None:
    assert lines("a\u2028b\x0cc\x85\r\nd\ne") == ["a\u2028b\x0cc\x85\r\n", "d\n", "e"]
    assert lines("") == []
