from pathlib import Path

import pytest

from errors import Exit, Fault
from release.notes import notes, section

CHANGELOG = """# Changelog

## [Unreleased]

- Coming soon

## [1.2.0] - 2026-11-22

### Added

- A thing, see [the issue] and `code`
- <script>alert(1)</script> [click](javascript:alert(1))

```
## [9.9.9]
```

## 1.1.0 (2026-10-01)

Older

## [v1.0.0](https://example.test/1.0.0) - 2026-09-01 [YANKED]

First

## [0.9.0]

[the issue]: https://example.test/issues/1
"""


def test_a_version_gets_its_own_section():
    html = section(CHANGELOG, "1.2.0")
    assert html and html.startswith("<h3>Added</h3>")
    assert '<a href="https://example.test/issues/1">the issue</a>' in html
    assert "Older" not in html and "Coming" not in html
    assert "## [9.9.9]" in html  # a heading in a code block is no heading


def test_no_markup_of_others_gets_through():
    html = section(CHANGELOG, "1.2.0") or ""
    assert "<script" not in html and "&lt;script&gt;" in html
    assert 'href="javascript' not in html


@pytest.mark.parametrize(
    ("version", "text"), [("1.1.0", "Older"), ("1.0.0", "First"), ("Unreleased", "Coming")]
)
def test_headings_of_many_kinds(version, text):
    assert text in (section(CHANGELOG, version) or "")


@pytest.mark.parametrize("version", ["1.2", "1.2.0.1", "9.9.9", "2.0.0", "1.2.0-beta"])
def test_only_the_exact_version(version):
    assert section(CHANGELOG, version) is None


def test_a_missing_section_is_a_fault_that_says_what_to_write(tmp_path):
    path = tmp_path / "CHANGELOG.md"
    path.write_text(CHANGELOG)
    with pytest.raises(Fault, match=r"says nothing about 2.0.0") as caught:
        notes(path, "2.0.0", allow_unreleased=False)
    assert caught.value.status == Exit.APPCAST and "## [2.0.0] - YYYY-MM-DD" in (caught.value.cure or "")
    assert "Coming soon" in notes(path, "2.0.0", allow_unreleased=True)
    assert "Older" in notes(path, "1.1.0", allow_unreleased=True)


def test_an_empty_section_counts_as_missing(tmp_path):
    path = tmp_path / "CHANGELOG.md"
    path.write_text(CHANGELOG)
    with pytest.raises(Fault, match="says nothing"):
        notes(path, "0.9.0", allow_unreleased=False)


@pytest.mark.parametrize("data", [None, b"\xff\xfe"])
def test_an_unreadable_changelog_is_a_fault(tmp_path, data):
    path = tmp_path / "CHANGELOG.md"
    if data is not None:
        path.write_bytes(data)
    with pytest.raises(Fault, match="cannot be read") as caught:
        notes(path, "1.0.0", allow_unreleased=True)
    assert caught.value.status == Exit.APPCAST


def test_the_projects_own_changelog_can_be_rehearsed():
    own = Path(__file__).parents[2] / "CHANGELOG.md"
    assert "<li>" in notes(own, "0.0.0", allow_unreleased=True)
