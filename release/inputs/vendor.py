"""Whether a file carries its vendor's own signature."""

from __future__ import annotations

from pathlib import Path

from errors import Exit, Fault
from release.inputs.pins import Pin


def check_vendor(pin: Pin, folder: Path) -> None:
    """Check every file that `pin.signed` names below `folder`; a pin without a team asks for nothing."""
    if not pin.team_id:
        return
    found = sorted(path for path in folder.glob(pin.signed) if path.is_file())
    if not found:
        raise Fault(
            f"{pin.title} holds no {pin.signed}, whose signature was to be checked",
            where=pin.package,
            cure=f"correct `signed` of {pin.name} in release.toml",
            status=Exit.INPUT_MISSING,
        )
    for path in found:
        verify_vendor(path, pin.team_id)


def verify_vendor(path: Path, team_id: str) -> None:
    """Raise Fault INPUT_TEAM, naming both teams, unless `path` has a sound signature of `team_id`."""
    from signing.verify import verify_macho  # loads cryptography, which a run from the cache can spare
    report = verify_macho(path)
    problems = tuple(f"{problem.path}: {problem.what}" for problem in report.problems)
    if report.team_id == team_id and report.ok:
        return
    raise Fault(
        f"{path.name} is not signed by the vendor it should come from",
        where=path,
        details=(f"expected team {team_id}", f"found    {report.team_id or 'none'}", *problems[:8]),
        cure="do not use it: choose a version that its vendor signed",
        status=Exit.INPUT_TEAM,
    )
