from __future__ import annotations

import hashlib
import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from release.image.faults import ImageFault
from release.image.hfsplus import names


def test_folds_as_the_table_in_tn1150():
    # Computed once over a table that was probed, name by name, against the Linux kernel's hfsplus driver.
    rows = sorted(names._fold_table().items())
    digest = "9e5ab1ab1c4f8b438e6eec8e7c0c96b9ee2ff5c1ec2299b778004889d5ec923f"
    assert (len(rows), hashlib.sha256(repr(rows).encode()).hexdigest()) == (333, digest)


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ("README", "readme", True),
        ("Grüße", "GRÜßE", True),
        ("ΣΊΓΜΑ", "σίγμα", True),
        ("Жук", "жук", True),
        ("a\u200db", "ab", True),  # a joiner does not count
        ("ß", "ss", False),
        ("İ", "i", False),
        ("ſ", "s", False),
        ("Ꞑ", "ꞑ", False),  # paired long after the table was frozen
    ],
)
def test_same_name(one: str, other: str, same: bool):
    assert (names.folded(names.encode(one)) == names.folded(names.encode(other))) is same


@pytest.mark.parametrize(
    ("name", "stored"),
    [
        ("é", "e\u0301"),
        ("Ⅷ…", "Ⅷ…"),
        ("한", "\u1112\u1161\u11ab"),
        ("\uf900", "\uf900"),  # ideographs for compatibility stay as they are
        ("Ω\u2126", "Ω\u2126"),  # and so does the ohm sign
        ("ǖ", "u\u0308\u0304"),
    ],
)
def test_decomposition(name: str, stored: str):
    assert names.decompose(name) == stored


@given(st.text(st.characters(codec="utf-8", exclude_characters="/\0"), min_size=1, max_size=40))
def test_a_stored_name_reads_back_canonically_equal(name: str):
    back = names.decode(names.encode(name))
    assert unicodedata.normalize("NFC", back) == unicodedata.normalize("NFC", name)
    assert names.encode(back) == names.encode(name)


def test_colon_and_slash_change_places():
    assert names.encode("a:b") == tuple(map(ord, "a/b"))
    assert names.decode(names.encode("a:b")) == "a:b"


@pytest.mark.parametrize("name", ["", "x" * 256, "ᾂ" * 85, "bad\udcff"])
def test_names_no_volume_can_hold(name: str):
    with pytest.raises(ImageFault):
        names.encode(name)
