from __future__ import annotations

from pathlib import Path

import pytest

from errors import Exit, Fault
from release import changelog
from release.changelog import dated, find, newest, next_version, require, sections
from tests.standins.repository import CHANGELOG


def level(body: str) -> str:
    (section,) = sections(f"## [Unreleased]\n\n{body}\n")
    return section.level


def test_sections_know_name_date_kinds_and_body() -> None:
    first, second = sections(CHANGELOG)
    assert (first.name, first.date, first.kinds, first.unreleased) == (
        "Unreleased", "", ("added", "fixed"), True,
    )  # fmt: skip
    assert (second.name, second.date, second.unreleased) == ("1.1.0", "2026-02-03", False)
    assert first.body == "### Added\n\n- A thing.\n\n### Fixed\n\n- Another."
    assert second.body == "### Added\n\n- The beginning."
    assert newest(CHANGELOG) == second


@pytest.mark.parametrize(
    "heading",
    ["[1.2.3] - 2026-03-04", "1.2.3 - 2026-03-04", "v1.2.3 (2026-03-04)", "[v1.2.3](x) – 2026-03-04"],
)
def test_headings_as_people_write_them(heading: str) -> None:
    (section,) = sections(f"## {heading}\n\nText.\n")
    assert (section.name, section.date) == ("1.2.3", "2026-03-04")


@pytest.mark.parametrize(
    ("body", "wanted"),
    [
        ("### Fixed\n- x", "patch"),
        ("### Fixed\n- x\n### Security\n- y", "patch"),
        ("### Added\n- x\n### Fixed\n- y", "minor"),
        ("### Changed\n- x", "minor"),
        ("### Deprecated\n- x", "minor"),
        ("- x", "minor"),
        ("### Removed\n- x", "major"),
        ("### Removed\n\n### Fixed\n- x", "patch"),  # nothing stands under the first
        ("### Fixed\n- **Breaking:** the port is another", "major"),
        ("### Breaking changes\n- x", "major"),
        ("### Fixed\n- the breaking of lines", "patch"),
        ("### Fixed\n- x\n```\n### Removed\n```", "patch"),  # in a code block it is no heading
    ],
)
def test_what_is_written_says_how_much_changes(body: str, wanted: str) -> None:
    assert level(body) == wanted


@pytest.mark.parametrize(
    ("before", "steps"),
    [
        ("1.2.3", ("2.0.0", "1.3.0", "1.2.4")),
        ("0.4.1", ("0.5.0", "0.4.2", "0.4.2")),
        ("1.2", ("2.0.0", "1.3.0", "1.2.1")),
        (None, ("0.1.0", "0.1.0", "0.1.0")),
    ],
)
def test_next_version(before: str | None, steps: tuple[str, str, str]) -> None:
    assert tuple(next_version(before, one) for one in changelog.LEVELS) == steps


def test_dating_opens_a_new_section_and_moves_the_links() -> None:
    after = dated(CHANGELOG, "1.2.0", "2026-05-06")
    fresh, now, before = sections(after)
    assert (fresh.name, fresh.kinds) == ("Unreleased", ())
    assert (now.name, now.date, now.body) == ("1.2.0", "2026-05-06", sections(CHANGELOG)[0].body)
    assert before.body == sections(CHANGELOG)[1].body
    assert "[Unreleased]: https://example.test/compare/v1.2.0...HEAD\n" in after
    assert "[1.2.0]: https://example.test/compare/v1.1.0...v1.2.0\n" in after
    assert after.replace("## [1.2.0] - 2026-05-06\n\n", "").count("\n") == CHANGELOG.count("\n") + 1


def test_dating_keeps_line_ends_and_all_else() -> None:
    text = CHANGELOG.replace("\n", "\r\n")
    after = dated(text, "1.2.0", "2026-05-06")
    assert after.replace("\r\n", "\n") == dated(CHANGELOG, "1.2.0", "2026-05-06")
    assert "\n" not in after.replace("\r\n", "")


def test_a_missing_or_empty_section_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "CHANGELOG.md"
    path.write_text("## [Unreleased]\n\n### Added\n\n### Fixed\n")
    for version, said in (("Unreleased", "says nothing under"), ("1.2.3", "no section for 1.2.3")):
        with pytest.raises(Fault, match=said) as caught:
            require(path, version)
        assert caught.value.status == Exit.VERSION and caught.value.cure
    assert find(path.read_text(), "1.2.3") is None
