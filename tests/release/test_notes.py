from pathlib import Path
from typing import Any

import pytest

from errors import Exit, Fault
from release.config import NotesRules
from release.notes import Notes, compose, notes, section, section_markdown

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


RICH = """# Changelog

## [2.0.0]

<details><summary>More</summary><img src=x onerror=alert(1)><script>alert(2)</script></details>
<a href="javascript:alert(3)" onclick="alert(4)">a</a> <iframe src="https://example.test"></iframe>

## [1.9.0]

- See [the issue] and [home](https://example.test)
- Another

[the issue]: https://example.test/issues/1
[unused]: https://example.test/unused
"""


def test_html_is_let_through_only_on_request_and_only_what_is_harmless():
    html = section(RICH, "2.0.0", html=True) or ""
    assert "<summary>More</summary>" in html
    for bad in ("script", "onerror", "onclick", "javascript", "iframe"):
        assert bad not in html
    assert "<summary>" not in (section(RICH, "2.0.0") or "")


def test_markdown_is_the_section_as_written_with_its_links():
    text = section_markdown(RICH, "1.9.0")
    assert text == (
        "- See [the issue] and [home](https://example.test)\n- Another\n\n"
        "[the issue]: <https://example.test/issues/1>"
    )
    assert section_markdown(RICH, "3.0.0") is None


@pytest.mark.parametrize(
    ("body", "says"),
    [
        ("<b>bold</b>", "raw HTML"),
        ("text\n\n<div>\n</div>", "raw HTML"),
        ("[x](javascript:alert(1))", None),
        ("[x](file:///etc/passwd)", None),
        ("![x](data:image/png;base64,AAAA)", "something else than the web"),
        ("[x](ftp://example.test)", "something else than the web"),
    ],
)
def test_markdown_that_the_updater_would_run_is_refused(body, says, tmp_path):
    text = f"## [1.0.0]\n\n{body}\n"
    if says is None:  # not even a link for CommonMark's parser, which drops such schemes
        assert "](" in (section_markdown(text, "1.0.0") or "")
        return
    with pytest.raises(Fault, match=says) as caught:
        section_markdown(text, "1.0.0", tmp_path / "CHANGELOG.md")
    assert caught.value.status == Exit.APPCAST and "html" in (caught.value.cure or "")


def project(folder: Path, **changelogs: str) -> Path:
    for name, text in {"CHANGELOG": CHANGELOG, **changelogs}.items():
        (folder / f"{name.replace('_', '.')}.md").write_text(text)
    return folder


def composed(folder: Path, version: str = "1.2.0", **rules: Any) -> Notes:
    return compose(
        folder, NotesRules(**rules), app_name="App & Co", version=version, build="57", allow_unreleased=False
    )


def test_one_language_is_embedded_and_has_a_page_of_everything(tmp_path):
    made = composed(project(tmp_path))
    assert made.embedded == made.html and made.html.startswith("<h3>Added</h3>")
    (page,) = made.pages
    text = page.data.decode()
    assert (page.name, page.kind, page.content_type) == ("notes.html", "full", "text/html; charset=utf-8")
    assert "Older" in text and "First" in text and "Coming" not in text
    assert '<html lang="en">' in text and "<title>App &amp; Co</title>" in text and "<script>" not in text
    assert composed(tmp_path, full_page=False).pages == ()


def test_every_language_gets_its_page_and_the_first_one_too(tmp_path):
    german = "## [1.2.0]\n\nNeu: größer\n"
    made = composed(project(tmp_path, CHANGELOG_de=german, **{"CHANGELOG_pt-BR": "## 1.2.0\n\nNovo\n"}))
    names = [page.name for page in made.pages]
    assert names == [
        "notes-1.2.0-57.en.html", "notes-1.2.0-57.de.html", "notes-1.2.0-57.pt-BR.html",
        "notes.html", "notes.de.html", "notes.pt-BR.html",
    ]  # fmt: skip
    assert "größer" in made.pages[1].data.decode() and 'lang="de"' in made.pages[1].data.decode()
    assert made.embedded == made.html and "größer" not in made.html


def test_markdown_pages_are_markdown(tmp_path):
    plain = "## [1.2.0]\n\n- One\n"
    made = composed(
        project(tmp_path, CHANGELOG=plain, CHANGELOG_de="## [1.2.0]\n\n- Eins\n"), format="markdown"
    )
    assert made.embedded == "- One" and made.html.startswith("<ul>")
    page = made.pages[1]
    assert (page.name, page.data, page.content_type) == (
        "notes-1.2.0-57.de.md", b"- Eins\n", "text/markdown; charset=utf-8",
    )  # fmt: skip


def test_a_translation_without_this_version_is_said(tmp_path):
    with pytest.raises(Fault, match=r"says nothing about 1.2.0") as caught:
        composed(project(tmp_path, CHANGELOG_de="## [1.1.0]\n\nAlt\n"))
    assert "CHANGELOG.de.md" in str(caught.value)
