import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from appcast import versions as versions_module
from appcast.versions import compare, is_safe, key

safe = st.lists(st.integers(0, 999999), min_size=1, max_size=4).map(lambda parts: ".".join(map(str, parts)))


@pytest.mark.parametrize(
    ("older", "newer"),
    [
        ("1.0", "1.1"),
        ("1.9", "1.10"),
        ("9", "10"),
        ("1.0.9", "1.1"),
        ("0.9.9.9", "1"),
        ("2.0", "10"),
        ("1.0b", "1.0"),  # letters at the end make it older
        ("1.0b1", "1.0b2"),
        ("1.0b9", "1.0b10"),
        ("1.0a", "1.0b"),
        ("1.0B", "1.0a"),  # bytes, not dictionary order
        ("1.0+5", "1.0"),  # a plus is no punctuation, so it counts as a letter
        ("1.0", "1.0 beta"),  # a space is a separator, so this is newer
        ("1.0", "1.0 (5)"),
        ("1.0 (5)", "1.0 (6)"),
        ("1.0.b", "1.0.1"),
        ("1.b", "1.0"),
        ("1.0rc1", "1.0.1"),
        ("", "1"),
        ("a", "1"),
        ("9223372036854775806", "9223372036854775807"),
        ("1.0", "1.0!"),  # a separator at the end makes it newer
        ("1.0 5", "1.0 10"),
        ("1..2", "1.0.2"),  # a number beats a separator
        ("(1)", "1"),
        ("𝟏", "0"),  # beyond the first 65,536 characters everything is a letter
        ("½", "0"),  # no decimal digit
        ("٣", "1"),  # a digit, but its value is not read
    ],
)
def test_order(older, newer):
    assert compare(older, newer) == -1
    assert compare(newer, older) == 1


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("1.0", "1.0"),
        ("1.0", "1.0.0"),
        ("1", "1.0.0.0"),
        ("01.002", "1.2"),
        ("1.0-beta", "1.0"),  # reading stops at a dash
        ("2.0-beta.1", "2.0-beta.2"),
        ("1.0-5", "1.0-6"),
        ("1.0 5", "1.0_5"),  # separators are alike
        ("٣", "0"),
        ("1.0\u00a05", "1.0!5"),
        ("1-", "1"),
        ("1.0", "1.0."),  # but a period is padded away
        ("--1", "-"),
        ("", ""),
        ("9223372036854775807", "99999999999999999999"),  # numbers saturate at 64 bits
    ],
)
def test_traps_where_sparkle_sees_no_difference(one, other):
    assert compare(one, other) == compare(other, one) == 0


def test_a_dash_in_front_is_read():
    assert compare("-1", "-2") == -1  # a dash is kept at index 0 only, and the number after it counts


@pytest.mark.parametrize("version", ["1", "1.2", "1.2.3", "1.2.3.4", "142", "0.0.1", "20261122"])
def test_safe(version):
    assert is_safe(version)


@pytest.mark.parametrize(
    "version",
    [
        "",
        "1.0-beta",
        "1.0b",
        "1.",
        ".1",
        "1..2",
        "1.2.3.4.5",
        "v1",
        "1.0 ",
        "1.0\n",
        "1,0",
        "1.0+5",
        "１.0",
        "-1",
        "1" * 20,
    ],
)
def test_unsafe(version):
    assert not is_safe(version)


@given(safe)
def test_safe_versions_are_safe_and_equal_themselves(version):
    assert is_safe(version) and compare(version, version) == 0


@given(safe, safe)
def test_safe_versions_compare_as_padded_numbers(a, b):
    pairs = itertools.zip_longest(map(int, a.split(".")), map(int, b.split(".")), fillvalue=0)
    left, right = zip(*pairs, strict=True)
    assert compare(a, b) == (left > right) - (left < right) == -compare(b, a)


@given(safe, safe, safe)
def test_order_of_safe_versions_is_transitive(a, b, c):
    if compare(a, b) <= 0 and compare(b, c) <= 0:
        assert compare(a, c) <= 0


@given(safe, safe, safe)
def test_safe_versions_that_are_equal_are_interchangeable(a, b, c):
    if compare(a, b) == 0:
        assert compare(a, c) == compare(b, c)


@given(st.lists(safe, max_size=8))
def test_sorting_safe_versions_is_stable_whatever_their_order(versions):
    ordered = sorted(versions, key=key)
    assert all(compare(one, other) <= 0 for one, other in itertools.combinations(ordered, 2))
    assert sorted(ordered, key=key) == ordered


traps = st.text(st.sampled_from("019.-+ ab()_é٣𝟏½"), max_size=8)


@given(traps | st.text(max_size=12), traps | st.text(max_size=12))
def test_any_text_compares_to_the_opposite_the_other_way_round(a, b):
    assert compare(a, a) == 0
    if not (a.startswith("-") or b.startswith("-")):
        assert compare(a, b) == -compare(b, a)
    assert compare(a, b) in (-1, 0, 1)


dotted = st.lists(st.integers(0, 2**70) | st.integers(0, 3), min_size=1, max_size=6).map(
    lambda parts: ".".join(map(str, parts))
)


@given(dotted, dotted)
def test_plain_versions_take_a_short_cut_to_the_same_order(a, b):
    spelled_out = versions_module._padded(versions_module._split(a), versions_module._split(b))
    orders = (versions_module._compare_parts(x, y) for x, y in zip(*spelled_out, strict=True))
    assert compare(a, b) == next(filter(None, orders), 0)


def test_a_dash_against_punctuation_is_older_both_ways():
    assert compare("-1", "(1") == compare("(1", "-1") == -1
