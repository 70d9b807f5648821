"""Whether a file carries its vendor's own signature.

signing.verify tells whether a signature is sound in itself; who issued its certificates is asked here. A team
id alone proves nothing: anybody can write one into a certificate of their own.
"""

from __future__ import annotations

import hashlib
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
    """Raise Fault INPUT_TEAM, naming both teams, unless `path` has a sound signature of `team_id`.

    Every architecture in it must be signed, with certificates that Apple issued.
    """
    # Both load cryptography, which a run from the cache can spare.
    from signing.requirements import APPLE_ROOT_SHA256
    from signing.verify import verify_macho

    report = verify_macho(path)
    teams = {code.directory.team_id if code.directory else None for code in report.codes} or {None}
    roots = {
        hashlib.sha256(code.certificates()[-1]).hexdigest() for code in report.codes if code.certificates()
    }
    if report.ok and teams == {team_id} and roots == {APPLE_ROOT_SHA256}:
        return
    problems = [f"{problem.path}: {problem.what}".removeprefix(": ") for problem in report.problems]
    if roots - {APPLE_ROOT_SHA256}:
        problems.append("its certificates were not issued by Apple")
    raise Fault(
        f"{path.name} is not signed by the vendor it should come from",
        where=path,
        details=(
            f"expected team {team_id}",
            f"found team    {', '.join(sorted(team or 'none' for team in teams))}",
            *problems[:8],
        ),
        cure="do not use it: choose a version that its vendor signed",
        status=Exit.INPUT_TEAM,
    )
