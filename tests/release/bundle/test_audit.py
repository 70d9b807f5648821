"""Each finding, provoked: an app that is clean, one thing spoiled, and that thing named."""

from __future__ import annotations

import io
import marshal
import plistlib
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest

from errors import Exit, Fault
from release.bundle.audit import CHECKS, Finding, audit, require_clean
from tests.release.bundle import tiny
from tests.release.bundle.test_embed import build

LIBRARY = f"Contents/Resources/lib/python{tiny.PYTHON}"
Spoil = Callable[[Path], object]


@pytest.fixture
def app(tmp_path: Path) -> Path:
    return build(tmp_path / "work")


def look(app: Path, arch: str = "arm64") -> list[Finding]:
    return audit(app, arch=arch, python=tiny.PYTHON)


def put(name: str, content: str | bytes) -> Spoil:
    return lambda app: tiny.write(app, {name: content})


def link(name: str, target: str) -> Spoil:
    return lambda app: (app / name).symlink_to(target)


def change_plist(**changed: object) -> Spoil:
    def spoil(app: Path) -> None:
        path = app / "Contents/Info.plist"
        values = {**plistlib.loads(path.read_bytes()), **changed}
        path.write_bytes(plistlib.dumps({key: value for key, value in values.items() if value is not None}))

    return spoil


def archive(name: str, content: bytes) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as file:
        file.writestr(name, content)
    return out.getvalue()


ELF = b"\x7fELF" + bytes(60)
SPOILT: list[tuple[str, str, str, Spoil]] = [
    ("elf", "a Linux library", f"{LIBRARY}/x.so", put(f"{LIBRARY}/x.so", ELF)),
    ("arch", "another architecture", f"{LIBRARY}/x.so", put(f"{LIBRARY}/x.so", tiny.macho("x86_64"))),
    ("damaged", "a Mach-O cut short", f"{LIBRARY}/x.so", put(f"{LIBRARY}/x.so", tiny.macho()[:50])),
    (
        "library",
        "a library of the builder's",
        f"{LIBRARY}/x.so",
        put(f"{LIBRARY}/x.so", tiny.macho(loads=["/opt/homebrew/lib/libx.dylib"])),
    ),
    (
        "library",
        "one beside it that is not",
        f"{LIBRARY}/x.so",
        put(f"{LIBRARY}/x.so", tiny.macho(loads=["@loader_path/libx.dylib"])),
    ),
    (
        "library",
        "on a search path that leads nowhere",
        f"{LIBRARY}/x.so",
        put(
            f"{LIBRARY}/x.so",
            tiny.macho(loads=["@rpath/libx.dylib"], rpaths=["@executable_path/../Frameworks"]),
        ),
    ),
    ("minimum", "too new", f"{LIBRARY}/x.so", put(f"{LIBRARY}/x.so", tiny.macho(minimum=(14, 0)))),
    (
        "minimum",
        "too new, said the old way",
        f"{LIBRARY}/x.so",
        put(f"{LIBRARY}/x.so", tiny.macho(minimum=(13, 1), old_style=True)),
    ),
    (
        "magic",
        "byte code of another Python",
        f"{LIBRARY}/x.pyc",
        put(f"{LIBRARY}/x.pyc", b"\x55\x0d\r\n" + bytes(20)),
    ),
    ("source", "source", f"{LIBRARY}/x.py", put(f"{LIBRARY}/x.py", "x = 1\n")),
    (
        "host-path",
        "in a text",
        "Contents/Resources/notes.txt",
        lambda app: tiny.write(app, {"Contents/Resources/notes.txt": f"made in {app.parent}/x\n"}),
    ),
    (
        "host-path",
        "in a native file",
        f"{LIBRARY}/x.so",
        lambda app: tiny.write(app, {f"{LIBRARY}/x.so": tiny.macho(tail=f"\0{app.parent}/x.c\0".encode())}),
    ),
    (
        "host-path",
        "in Info.plist",
        "Contents/Info.plist",
        change_plist(PythonInfoDict={"PythonExecutable": "/Users/builder/bin/python"}),
    ),
    ("link-broken", "to nothing", "Contents/Resources/x", link("Contents/Resources/x", "nothing")),
    ("link-escapes", "to the system", "Contents/Resources/x", link("Contents/Resources/x", "/usr/lib/x")),
    ("link-escapes", "by its parents", "Contents/Resources/x", link("Contents/Resources/x", "../../../x")),
    ("unsealed", "a text among programs", "Contents/MacOS/x.txt", put("Contents/MacOS/x.txt", "x")),
    (
        "unsealed",
        "a script among helpers",
        "Contents/Helpers/x.sh",
        put("Contents/Helpers/x.sh", "#!/bin/sh"),
    ),
    (
        "unsealed",
        "a list among frameworks",
        "Contents/Frameworks/x.json",
        put("Contents/Frameworks/x.json", "{}"),
    ),
    ("non-ascii", "a name", "Contents/Resources/naïve.txt", put("Contents/Resources/naïve.txt", "x")),
    ("objects", "an archive", f"{LIBRARY}/x.a", put(f"{LIBRARY}/x.a", b"!<arch>\n")),
    ("objects", "an object file", f"{LIBRARY}/x.o", put(f"{LIBRARY}/x.o", b"x")),
    (
        "empty-folder",
        "a folder",
        "Contents/Resources/empty",
        lambda app: (app / "Contents/Resources/empty").mkdir(),
    ),
    ("plist", "unreadable", "Contents/Info.plist", put("Contents/Info.plist", b"<plist")),
    (
        "plist",
        "a framework's, unreadable",
        "Contents/Frameworks/Sparkle.framework/Versions/B/Resources/Info.plist",
        put("Contents/Frameworks/Sparkle.framework/Versions/B/Resources/Info.plist", b"<plist"),
    ),
    ("plist", "a key gone", "Contents/Info.plist", change_plist(SUFeedURL=None)),
    ("plist", "no such program", "Contents/Info.plist", change_plist(CFBundleExecutable="Other")),
    ("plist", "no such icon", "Contents/Info.plist", change_plist(CFBundleIconFile="other.icns")),
    (
        "plist",
        "no such interpreter",
        "Contents/Info.plist",
        change_plist(
            PyRuntimeLocations=[f"/Library/Frameworks/Python.framework/Versions/{tiny.PYTHON}/Python"]
        ),
    ),
    (
        "plist",
        "py2app's short version",
        "Contents/Info.plist",
        change_plist(PythonInfoDict={"PythonShortVersion": "3.1"}),
    ),
    (
        "plist",
        "a contradiction in Sparkle's keys",
        "Contents/Info.plist",
        change_plist(SUVerifyUpdateBeforeExtraction=False),
    ),
    (
        "zip",
        "native code in an archive",
        f"{LIBRARY}/x.zip/x.so",
        put(f"{LIBRARY}/x.zip", archive("x.so", tiny.macho())),
    ),
    ("zip", "an archive that is none", f"{LIBRARY}/x.zip", put(f"{LIBRARY}/x.zip", b"PK")),
    (
        "magic",
        "in an archive",
        f"{LIBRARY}/x.zip/x.pyc",
        put(f"{LIBRARY}/x.zip", archive("x.pyc", b"\0\0\0\0" + bytes(20))),
    ),
]


def test_every_id_is_provoked() -> None:
    assert {id_ for id_, *_ in SPOILT} == set(CHECKS)


@pytest.mark.parametrize(
    ("id_", "path", "spoil"),
    [pytest.param(id_, path, spoil, id=f"{id_}: {what}") for id_, what, path, spoil in SPOILT],
)
def test_finds_it(app: Path, id_: str, path: str, spoil: Spoil) -> None:
    assert look(app) == []
    spoil(app)
    found = [one for one in look(app) if one.id == id_]
    assert [one.path for one in found][:1] == [path]
    assert found[0].what
    assert found[0].cure == CHECKS[id_][1]


def test_byte_code_made_under_a_full_path_is_found(app: Path, tmp_path: Path) -> None:
    tiny.write(app, {f"{LIBRARY}/x.pyc": tiny.compiled(tmp_path, name="/srv/builder/x.py")})
    assert [one.id for one in look(app)] == ["host-path"]
    assert "/srv/builder/x.py" in look(app)[0].what


def test_a_path_kept_as_a_constant_is_found_whatever_its_length(app: Path, tmp_path: Path) -> None:
    """In byte code a string follows its length, which may look like a letter or a slash."""
    for pad in range(60):
        text = f"x = {str(app.parent) + '/' + 'y' * pad!r}\n"
        tiny.write(app, {f"{LIBRARY}/x.pyc": tiny.compiled(tmp_path, text)})
        assert [one.id for one in look(app)] == ["host-path"], pad


def test_damaged_byte_code_is_found(app: Path, tmp_path: Path) -> None:
    whole = tiny.compiled(tmp_path)
    marshal.loads(whole[16:])
    tiny.write(app, {f"{LIBRARY}/x.pyc": whole[:-5]})
    assert [one.id for one in look(app)] == ["magic"]


def test_a_search_path_that_leads_into_the_app_is_fine(app: Path) -> None:
    tiny.write(
        app,
        {
            "Contents/Frameworks/libx.dylib": tiny.macho(identity="@rpath/libx.dylib"),
            f"{LIBRARY}/x.so": tiny.macho(
                loads=["@rpath/libx.dylib", "@executable_path/../Frameworks/libx.dylib"],
                rpaths=["/usr/local/lib", "@loader_path/../../../Frameworks"],
            ),
        },
    )
    assert look(app) == []


def test_a_library_reached_through_a_link_out_of_the_app_is_not_in_it(app: Path, tmp_path: Path) -> None:
    (tmp_path / "libx.dylib").write_bytes(tiny.macho(identity="x"))
    (app / "Contents/Frameworks/libx.dylib").symlink_to(tmp_path / "libx.dylib")
    tiny.write(app, {f"{LIBRARY}/x.so": tiny.macho(loads=["@executable_path/../Frameworks/libx.dylib"])})
    assert {one.id for one in look(app)} == {"library", "link-escapes"}


def test_universal_needs_both(app: Path) -> None:
    assert {one.id for one in look(app, "universal2")} == {"arch"}


def test_everything_at_once_and_in_order(app: Path) -> None:
    tiny.write(app, {f"{LIBRARY}/b.so": ELF, f"{LIBRARY}/a.so": ELF, f"{LIBRARY}/x.py": "x = 1\n"})
    assert [(one.severity, one.path.rsplit("/")[-1]) for one in look(app)] == [
        ("error", "a.so"),
        ("error", "b.so"),
        ("warning", "x.py"),
    ]


@pytest.mark.parametrize(
    ("ids", "status"),
    [
        (["link-broken"], Exit.LINK),
        (["link-broken", "link-escapes"], Exit.LINK),
        (["plist"], Exit.PLIST),
        (["plist", "link-broken"], Exit.AUDIT),
        (["elf"], Exit.AUDIT),
        (["elf", "source"], Exit.AUDIT),
    ],
)
def test_errors_stop_the_release_with_their_own_status(ids: list[str], status: Exit) -> None:
    findings = [Finding(id_, f"Contents/{id_}", "is wrong") for id_ in ids]
    with pytest.raises(Fault) as caught:
        require_clean(findings)
    assert caught.value.status == status
    assert caught.value.cure
    assert len(caught.value.details) == sum(one.severity == "error" for one in findings)


def test_warnings_do_not() -> None:
    require_clean([Finding("source", "x.py", "it is source"), Finding("empty-folder", "x", "empty")])
    require_clean([])
