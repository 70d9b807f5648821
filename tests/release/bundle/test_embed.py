from __future__ import annotations

import os
from pathlib import Path

import pytest

from errors import Exit, Fault
from release.bundle import plist, thin
from release.bundle.audit import audit
from release.bundle.embed import compile_own, embed
from release.bundle.spec import BundleFault
from release.digests import content_digest
from tests.release.bundle import tiny


def build(folder: Path, dst: Path | None = None, **changed: object) -> Path:
    """Embed into a tiny runtime made under `folder`."""
    folder.mkdir(parents=True, exist_ok=True)
    dst = dst or folder / "out" / "Tiny.app"
    (folder / "bun").write_bytes(tiny.macho(minimum=(13, 0)))
    (folder / "bridge.js").write_text("// bridge\n")
    (folder / "htmx.min.js").write_text("// htmx\n")
    parts: dict[str, object] = {
        "bun": folder / "bun",
        "bridge_js": folder / "bridge.js",
        "htmx": folder / "htmx.min.js",
        "sparkle": tiny.sparkle(folder),
        "icon_source": tiny.drawing(folder),
    }
    runtime = tiny.runtime(folder, arch=str(changed.pop("runtime_arch", "arm64")))
    spec = tiny.spec(tiny.source(folder / "repository"), **changed)
    embed(spec, runtime, dst, **parts)  # type: ignore[arg-type]
    return dst


def test_everything_is_in_its_place_and_passes_the_audit(tmp_path: Path) -> None:
    app = build(tmp_path)
    contents = app / "Contents"
    own = contents / f"Resources/lib/python{tiny.PYTHON}/app"
    assert sorted(path.relative_to(own).as_posix() for path in own.rglob("*") if path.is_file()) == [
        "__init__.pyc",
        "__main__.pyc",
        "web/page.html",
    ]
    assert os.access(contents / "Helpers/bun", os.X_OK)
    assert (contents / "Resources/bridge.js").read_text() == "// bridge\n"
    assert (contents / "Resources/web/htmx.min.js").read_text() == "// htmx\n"
    assert (contents / "Resources/icon.icns").read_bytes()[:4] == b"icns"
    assert (contents / "Frameworks/Sparkle.framework/Versions/Current").readlink() == Path("B")
    assert (contents / "PkgInfo").read_text() == "APPL????"
    assert plist.read(contents / "Info.plist")["CFBundleVersion"] == "45"
    assert audit(app, arch="arm64", python=tiny.PYTHON) == []


def test_elsewhere_and_later_the_same_bytes(tmp_path: Path) -> None:
    one = build(tmp_path / "here")
    two = build(tmp_path / "some" / "where" / "else", tmp_path / "out" / "Other Name.app")
    assert content_digest(one) == content_digest(two)


def test_every_time_is_the_epoch_and_modes_are_plain(tmp_path: Path) -> None:
    app = build(tmp_path)
    for path in [app, *app.rglob("*")]:
        stat = path.lstat()
        assert int(stat.st_mtime) == tiny.EPOCH, path
        assert path.is_symlink() or stat.st_mode & 0o7777 in (0o644, 0o755), path


def test_a_read_only_runtime_is_no_obstacle(tmp_path: Path) -> None:
    """The cache's folders may not be written to; what is made from them must."""
    runtime = tiny.runtime(tmp_path)
    sparkle = tiny.sparkle(tmp_path)
    for path in [*runtime.rglob("*"), *sparkle.rglob("*")]:
        if not path.is_symlink():
            path.chmod(0o555)
    (tmp_path / "bun").write_bytes(tiny.macho())
    (tmp_path / "bridge.js").write_text("//\n")
    (tmp_path / "htmx.min.js").write_text("//\n")
    spec = tiny.spec(tiny.source(tmp_path / "repository"))
    dst = tmp_path / "Tiny.app"
    for _ in range(2):
        embed(
            spec,
            runtime,
            dst,
            bun=tmp_path / "bun",
            bridge_js=tmp_path / "bridge.js",
            htmx=tmp_path / "htmx.min.js",
            sparkle=sparkle,
            icon_source=tiny.drawing(tmp_path),
        )
    assert (dst / "Contents/Resources").stat().st_mode & 0o777 == 0o755
    assert (dst / "Contents/Frameworks/Sparkle.framework/Versions/B/Sparkle").stat().st_mode & 0o777 == 0o755


def test_one_changed_file_of_the_app_changes_that_file_only(tmp_path: Path) -> None:
    app = build(tmp_path)
    before = {path: path.read_bytes() for path in thin.files(app)}
    main = tmp_path / "repository/app/__main__.py"
    main.write_text(main.read_text() + "\n\nEXTRA = 1\n")
    spec = tiny.spec(tmp_path / "repository")
    embed(
        spec,
        tmp_path / "Runtime.app",
        app,
        bun=tmp_path / "bun",
        bridge_js=tmp_path / "bridge.js",
        htmx=tmp_path / "htmx.min.js",
        sparkle=tmp_path / "Sparkle.framework",
        icon_source=tmp_path / "icon.svg",
    )
    changed = [path.name for path in thin.files(app) if path.read_bytes() != before.get(path)]
    assert changed == ["__main__.pyc"]


def test_two_buns_become_one_for_both_architectures(tmp_path: Path) -> None:
    for arch in ("arm64", "x86_64"):
        (tmp_path / arch).write_bytes(tiny.macho(arch, tail=arch.encode()))
    thin.fuse([tmp_path / "arm64", tmp_path / "x86_64"], tmp_path / "fat")
    runtime, sparkle = tiny.runtime(tmp_path), tiny.sparkle(tmp_path)
    (sparkle / "Versions/B/Sparkle").write_bytes((tmp_path / "fat").read_bytes())
    (tmp_path / "bridge.js").write_text("//\n")
    (tmp_path / "htmx.min.js").write_text("//\n")
    spec = tiny.spec(tiny.source(tmp_path / "repository"), arch="universal2")
    dst = tmp_path / "Tiny.app"
    buns = [tmp_path / "arm64", tmp_path / "x86_64"]
    drawing = tiny.drawing(tmp_path)
    embed(
        spec,
        runtime,
        dst,
        bun=buns,
        bridge_js=tmp_path / "bridge.js",
        htmx=tmp_path / "htmx.min.js",
        sparkle=sparkle,
        icon_source=drawing,
    )
    slices = thin.slices_of(dst / "Contents/Helpers/bun")
    assert {one.arch for one in slices} == {"arm64", "x86_64"}
    embed(
        tiny.spec(tmp_path / "repository"),
        runtime,
        dst,
        bun=tmp_path / "fat",
        bridge_js=tmp_path / "bridge.js",
        htmx=tmp_path / "htmx.min.js",
        sparkle=sparkle,
        icon_source=drawing,
    )
    for inside in ("Helpers/bun", "Frameworks/Sparkle.framework/Versions/B/Sparkle"):
        assert [one.arch for one in thin.slices_of(dst / "Contents" / inside)] == ["arm64"]


@pytest.mark.parametrize("target", ["/etc/hosts", "../../outside.txt", "__init__.py", "nowhere"])
def test_a_link_in_the_app_is_refused(tmp_path: Path, target: str) -> None:
    source = tiny.source(tmp_path)
    (tmp_path / "outside.txt").write_text("x")
    (source / "app/web/linked").symlink_to(target)
    with pytest.raises(BundleFault) as caught:
        compile_own(source, tmp_path / "out")
    assert caught.value.status == Exit.LINK
    assert caught.value.where == "app/web/linked"


def test_a_failure_leaves_the_old_app_and_no_litter(tmp_path: Path) -> None:
    app = build(tmp_path)
    before = content_digest(app)
    (tmp_path / "repository/app/__main__.py").write_text("def f(:\n")
    with pytest.raises(BundleFault):
        embed(
            tiny.spec(tmp_path / "repository"),
            tmp_path / "Runtime.app",
            app,
            bun=tmp_path / "bun",
            bridge_js=tmp_path / "bridge.js",
            htmx=tmp_path / "htmx.min.js",
            sparkle=tmp_path / "Sparkle.framework",
            icon_source=tmp_path / "icon.svg",
        )
    assert content_digest(app) == before
    assert [path.name for path in app.parent.iterdir()] == ["Tiny.app"]


def test_what_a_killed_run_left_is_cleared_away(tmp_path: Path) -> None:
    dst = tmp_path / "out" / "Tiny.app"
    tiny.write(dst.parent, {".Tiny.app.making/new.app/half": "x"})
    build(tmp_path, dst)
    assert [path.name for path in dst.parent.iterdir()] == ["Tiny.app"]
    assert not list(dst.rglob("half"))


@pytest.mark.parametrize("missing", ["bun", "bridge.js", "htmx.min.js", "Sparkle.framework/Versions/Current"])
def test_a_missing_part_is_named(tmp_path: Path, missing: str) -> None:
    app = build(tmp_path)
    tiny.forget(app)
    tiny.forget(tmp_path / missing)
    with pytest.raises(Fault) as caught:
        embed(
            tiny.spec(tmp_path / "repository"),
            tmp_path / "Runtime.app",
            app,
            bun=tmp_path / "bun",
            bridge_js=tmp_path / "bridge.js",
            htmx=tmp_path / "htmx.min.js",
            sparkle=tmp_path / "Sparkle.framework",
            icon_source=tmp_path / "icon.svg",
        )
    assert missing.split("/")[0] in str(caught.value.where)
    assert not app.exists()


def test_a_bun_for_another_system_is_refused(tmp_path: Path) -> None:
    app = build(tmp_path)
    (tmp_path / "bun").write_bytes(b"\x7fELF" + bytes(100))
    with pytest.raises(BundleFault, match="macOS"):
        embed(
            tiny.spec(tmp_path / "repository"),
            tmp_path / "Runtime.app",
            app,
            bun=tmp_path / "bun",
            bridge_js=tmp_path / "bridge.js",
            htmx=tmp_path / "htmx.min.js",
            sparkle=tmp_path / "Sparkle.framework",
            icon_source=tmp_path / "icon.svg",
        )
