"""The JavaScript packages of the bridge, installed by npm from its lock file.

npm leaves out, silently, a package for a platform that it cannot get. So everything that the lock file asks
for on this platform is looked for afterwards.
"""

from __future__ import annotations

import hashlib
import json
import shutil
import sys
from collections.abc import Collection, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from commands import Runner
from errors import Exit, Fault
from release.inputs.bun import host_arch
from release.inputs.faults import NO_ROOM, explain
from release.inputs.node import PATIENCE
from release.inputs.node import npm as find_npm

if TYPE_CHECKING:
    from release.inputs.cache import Cache

FILES: Final = ("package.json", "package-lock.json")
CPUS: Final = {"arm64": "arm64", "x86_64": "x64"}  # npm's names
QUIET: Final = ("--include=dev", "--include=optional", "--no-audit", "--no-fund", "--loglevel=warn")
FORMAT: Final = 1  # raise it when this module makes something else of the same inputs


def bridge_modules(cache: Cache, bridge_dir: Path, *, runner: Runner, required: Collection[str] = ()) -> Path:
    """Give `node_modules` for package.json and package-lock.json of `bridge_dir`; no scripts are run.

    `required` names packages that must be there beyond those that the lock file asks for. Raises Fault:
    CONFIG if the lock file is absent, unreadable or has an entry without integrity, INPUT_HASH if a download
    does not match it, INPUT_MISSING naming every package that npm left out, NETWORK, DISK.
    """
    lock = read_lock(bridge_dir / FILES[1])
    content = [(bridge_dir / name).read_bytes() for name in FILES]
    digest = hashlib.sha256(b"\0".join(content)).hexdigest()
    system, cpu = sys.platform, CPUS[host_arch()]

    def build(folder: Path) -> None:
        for name in FILES:
            shutil.copyfile(bridge_dir / name, folder / name)
        _install(folder, runner)
        require_present(folder / "node_modules", lock, system=system, cpu=cpu)
        (folder / "node_modules" / ".package-lock.json").unlink(missing_ok=True)  # it names the registry

    made = cache.derived(f"node_modules {system} {cpu} {digest} {FORMAT}", build) / "node_modules"
    require_present(made, {}, required=required, system=system, cpu=cpu)
    return made


def read_lock(path: Path) -> Mapping[str, Mapping[str, Any]]:
    """Read the packages of a lock file (version 2 or 3), `{path: entry}`; raises Fault CONFIG."""
    try:
        packages = json.loads(path.read_bytes())["packages"]
    except FileNotFoundError as error:
        raise _bad(path, "there is no lock file") from error
    except (ValueError, KeyError, TypeError) as error:
        raise _bad(path, f"the lock file cannot be read: {error}") from error
    for name, entry in packages.items():
        if name and not entry.get("link") and not entry.get("integrity"):
            raise _bad(path, f"{name} has no integrity in the lock file")
    return {name: entry for name, entry in packages.items() if name}


def _bad(path: Path, what: str) -> Fault:
    cure = "run `npm install --package-lock-only` in that folder and commit the result"
    return Fault(what, where=path, cure=cure, status=Exit.CONFIG)


def _install(folder: Path, runner: Runner) -> None:
    client = find_npm(runner)
    result = runner.run(
        [*client.argv, "ci", "--ignore-scripts", *QUIET, *PATIENCE],
        cwd=folder,
        env=client.env,
        check=False,
    )
    # A full disk is only a warning to npm: it leaves packages out and ends well.
    if result.status or NO_ROOM.search(result.text):
        raise explain(result, "the bridge's packages", where="package-lock.json")


def require_present(
    modules: Path,
    lock: Mapping[str, Mapping[str, Any]],
    *,
    required: Collection[str] = (),
    system: str,
    cpu: str,
) -> None:
    """Raise Fault INPUT_MISSING naming every package that should be in `modules` and is not."""
    absent = sorted({*_absent(modules, lock, system, cpu), *_unknown(modules, required)})
    if absent:
        raise Fault(
            f"npm left out {len(absent)} package{'s' * (len(absent) > 1)} without saying so",
            where=modules,
            details=tuple(absent[:12]),
            cure="see that the registry in use has them in these versions, and run the same command again",
            status=Exit.INPUT_MISSING,
        )


def _absent(modules: Path, lock: Mapping[str, Mapping[str, Any]], system: str, cpu: str) -> Iterator[str]:
    unused = _unused(lock, system, cpu)
    for name, entry in lock.items():
        if not entry.get("link") and name not in unused:
            found = _version(modules.parent / name)
            if found != entry["version"]:
                yield f"{name.removeprefix('node_modules/')} {entry['version']}: {found or 'not there'}"


def _unused(lock: Mapping[str, Mapping[str, Any]], system: str, cpu: str) -> set[str]:
    """Find what npm is right to leave out: what is for other platforms, and optional for those alone."""
    unused = {name for name, entry in lock.items() if not applies(entry, system, cpu)}
    optional = {name for name, entry in lock.items() if entry.get("optional")}
    while more := {name for name in optional - unused if set() < _users(lock, name) <= unused}:
        unused |= more
    return unused


def _users(lock: Mapping[str, Mapping[str, Any]], name: str) -> set[str]:
    package = name.rpartition("node_modules/")[2]
    lists = ("dependencies", "optionalDependencies")
    return {user for user, entry in lock.items() if any(package in entry.get(kind, ()) for kind in lists)}


def _unknown(modules: Path, required: Collection[str]) -> Iterator[str]:
    return (f"{name}: not there" for name in required if _version(modules / name) is None)


def _version(package: Path) -> str | None:
    try:
        version = json.loads((package / "package.json").read_bytes()).get("version")
    except (OSError, ValueError):
        return None
    return str(version)


def applies(entry: Mapping[str, Any], system: str, cpu: str) -> bool:
    """Whether a lock entry is for this platform, by its `os`, `cpu` and `libc` lists ("!win32" excludes)."""
    musl = system == "linux" and any(Path("/lib").glob("ld-musl-*"))
    libc = "musl" if musl else "glibc"
    lists = (("os", system), ("cpu", cpu), *((("libc", libc),) if system == "linux" else ()))
    # A development or peer package may be left out on purpose; one for this platform may not.
    return all(_allows(entry.get(key, ()), value) for key, value in lists) and not entry.get("peer")


def _allows(wanted: Collection[str], value: str) -> bool:
    positive = [each for each in wanted if not each.startswith("!")]
    return f"!{value}" not in wanted and (not positive or value in positive)
