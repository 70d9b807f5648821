"""Put what is ours, Bun, htmx and Sparkle into the packed runtime: then it is the app."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from pathlib import Path

from errors import Exit
from release.bundle import icon, plist, thin, tree
from release.bundle.compile import compile_file, require_python
from release.bundle.imports import OWN
from release.bundle.spec import BundleFault, BundleSpec

ICON_SOURCE = Path(__file__).parents[1] / "assets/icon/icon.svg"
# The bridge is shipped as one built file, not as its source.
NOT_SHIPPED = frozenset({"bridge", "node_modules", "__pycache__"})


def embed(
    spec: BundleSpec,
    runtime_app: Path,
    dst: Path,
    *,
    bun: Path | Sequence[Path],
    bridge_js: Path,
    htmx: Path,
    sparkle: Path,
    icon_source: Path = ICON_SOURCE,
) -> None:
    """Make `dst`, the whole app, of what `build_runtime` made and the parts given.

    `bun` is one executable, or for universal2 one for each architecture; `htmx` the script of the app's
    pages; `sparkle` a Sparkle.framework. The app's own code is compiled from `spec.source`. Nothing given is
    changed; `dst` appears whole or not at all, and is the same, byte for byte, for the same parts. Raises
    BundleFault or PlistFault.
    """
    require_python(spec.python)
    with tree.workshop(dst) as work:
        app = work / "new.app"
        tree.copy(runtime_app, app)
        contents = app / "Contents"
        compile_own(spec.source, contents / "Resources/lib" / f"python{spec.python}" / OWN)
        _add_bun([bun] if isinstance(bun, Path) else list(bun), contents / "Helpers/bun", spec)
        _copy_file(bridge_js, contents / "Resources/bridge.js")
        _copy_file(htmx, contents / "Resources/web" / htmx.name)
        _add_sparkle(sparkle, contents / "Frameworks/Sparkle.framework", spec)
        icon.icns(icon_source, contents / "Resources" / plist.ICON)
        _write_plist(spec, contents)
        tree.prune(app)
        tree.settle(app, spec.epoch)
        tree.remove(dst)
        app.rename(dst)


def compile_own(source: Path, dst: Path) -> None:
    """Compile `app/` under `source` to `dst` and copy its data files. Raises BundleFault.

    A link in it would be followed on this machine and mean nothing on another, so none is taken.
    """
    root = source / OWN
    if not (root / "__main__.py").is_file():
        raise BundleFault("The app has no __main__.py", where=root, status=Exit.INPUT_MISSING)
    for path in _own_files(root):
        inside = path.relative_to(root)
        target = dst / inside
        target.parent.mkdir(parents=True, exist_ok=True)
        if path.suffix == ".py":
            target.with_suffix(".pyc").write_bytes(compile_file(path, f"{OWN}/{inside.as_posix()}"))
        else:
            target.write_bytes(path.read_bytes())


def _own_files(root: Path) -> Iterator[Path]:
    for folder, folders, names in os.walk(root):
        folders[:] = sorted(name for name in folders if name not in NOT_SHIPPED and not name.startswith("."))
        for name in [*folders, *sorted(names)]:
            path = Path(folder, name)
            if path.is_symlink():
                raise BundleFault(
                    "A link can't be shipped as part of the app",
                    where=path.relative_to(root.parent),
                    details=(f"it leads to {path.readlink()}",),
                    cure="put the file itself there",
                    status=Exit.LINK,
                )
            if path.is_file() and not name.startswith(".") and path.suffix != ".pyc":
                yield path


def _add_bun(slices: Sequence[Path], dst: Path, spec: BundleSpec) -> None:
    dst.parent.mkdir(parents=True)
    if len(slices) == 1:
        _copy_file(slices[0], dst)
    else:
        thin.fuse(slices, dst)
    dst.chmod(0o755)
    if not thin.slices_of(dst):
        raise BundleFault("This Bun is not for macOS", where=slices[0])
    thin.thin_file(dst, spec.slices)


def _add_sparkle(src: Path, dst: Path, spec: BundleSpec) -> None:
    """Copy the framework with its links. py2app's own way would drop its headers, and break its seal."""
    if not (src / "Versions/Current/Sparkle").exists():
        raise BundleFault("This is not Sparkle.framework, or its links are gone", where=src)
    tree.copy(src, dst)
    thin.thin_tree(dst, spec.slices)


def _copy_file(src: Path, dst: Path) -> None:
    if not src.is_file():
        raise BundleFault("A part of the app is missing", where=src, status=Exit.INPUT_MISSING)
    dst.parent.mkdir(exist_ok=True)
    dst.write_bytes(src.read_bytes())


def _write_plist(spec: BundleSpec, contents: Path) -> None:
    made = plist.read(contents / "Info.plist")
    framework = contents / f"Frameworks/Python.framework/Versions/{spec.python}/Resources/Info.plist"
    version = str(plist.read(framework).get("CFBundleVersion", spec.python))
    plist.write(contents / "Info.plist", plist.info(spec, made, version))
    (contents / "PkgInfo").write_text("APPL????", "ascii")
