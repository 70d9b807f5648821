"""The pinned inputs' own signatures: Bun's and the Python Software Foundation's by Apple, Sparkle's seal."""

from __future__ import annotations

import shutil
import tomllib
from pathlib import Path

import pytest

from commands import Subprocess
from release import inputs
from release.bench.signing import assemble
from signing import macho, requirements
from signing.codesign import batches
from signing.entitlements import JIT
from signing.identity import Identity
from signing.plan import deviations, plan_app
from signing.portable import Portable
from signing.verify import Report, verify_app, verify_macho
from tests.signing.changes import unnoticed
from tests.signing.conftest import MOMENT

pytestmark = pytest.mark.release
ROOT = Path(__file__).parents[2]
RUNNER = Subprocess()


@pytest.fixture(scope="module")
def pins() -> inputs.Pins:
    return inputs.parse(tomllib.loads((ROOT / "release.toml").read_text("utf-8"))["inputs"]["rehearsal"])


@pytest.fixture(scope="module")
def bun(pins: inputs.Pins) -> Path:
    return inputs.bun(inputs.Cache(), pins, "arm64", runner=RUNNER)


@pytest.fixture(scope="module")
def libraries(pins: inputs.Pins) -> list[Path]:
    prefix = inputs.python_prefix(inputs.Cache(), pins, runner=RUNNER)
    return sorted(path for path in prefix.rglob("*.so") if not path.is_symlink())


@pytest.fixture(scope="module")
def sparkle(pins: inputs.Pins) -> Path:
    return inputs.sparkle(inputs.Cache(), pins, runner=RUNNER)


def by_apple(report: Report) -> bool:
    return all(
        requirements.text("anchor apple generic")(code.subject) for code in report.codes if code.subject
    )


def test_accepts_buns_signature(bun: Path) -> None:
    report = verify_macho(bun)
    assert [problem.what for problem in report.problems] == [
        "has bytes other than zero in the unused space after its signature"
    ]
    assert report.ok
    assert (report.identifier, report.team_id, report.flags) == ("bun", "7FRXF46ZSN", ("runtime",))
    assert report.timestamped
    assert len(report.certificates) == 3
    assert by_apple(report)
    assert report.entitlements["com.apple.security.cs.allow-jit"] is True


def test_accepts_the_foundations_signatures(libraries: list[Path]) -> None:
    """SHA-1 and SHA-256 directories, two architectures, Apple's older timestamps."""
    reports = [verify_macho(path) for path in libraries]
    signed = [report for report in reports if report.team_id == "BMM5U3QVKW"]
    assert len(signed) > 40
    assert all(report.ok and report.timestamped and by_apple(report) for report in signed)
    assert {len(report.codes) for report in signed} == {2}


def test_accepts_sparkles_seal(sparkle: Path) -> None:
    report = verify_app(sparkle)
    assert report.ok
    assert all("is signed ad hoc" in problem.what for problem in report.all_problems())
    assert len(list(report.walk())) == 5


def test_agrees_with_codesign_on_names(libraries: list[Path]) -> None:
    from signing.plan import canonical_identifier

    for path in libraries:
        report = verify_macho(path)
        if report.team_id == "BMM5U3QVKW":
            assert canonical_identifier(path.name) == report.identifier


@pytest.mark.slow
def test_notices_changes_of_buns_signature(bun: Path) -> None:
    """Every seventh byte of what Apple's own tools wrote."""
    from signing import cms, superblob

    (part,) = macho.read(bun)
    place = part.signature()
    assert place
    blob = superblob.parse(part.data[place[0] : sum(place)])
    data = blob.payload(superblob.SLOT_CMS) or b""

    def holds(changed: bytes) -> bool:
        found = cms.verify(changed, blob.directories())
        return not found.problems and found.timestamp is not None

    assert unnoticed(data, holds, range(3, len(data), 7)) == []


@pytest.mark.slow
def test_notices_a_changed_byte_anywhere_in_bun(bun: Path, tmp_path: Path) -> None:
    path = Path(shutil.copy(bun, tmp_path / "bun"))
    path.chmod(0o755)
    size = path.stat().st_size
    with path.open("r+b") as stream:
        for at in (
            0,
            40,
            1000,
            size // 3,
            size // 2,
            size - 192_240 - 1,
            size - 192_240 + 100,
            size - 15_000,
        ):
            stream.seek(at)
            (byte,) = stream.read(1)
            for value in (byte ^ 1, byte):
                stream.seek(at)
                stream.write(bytes([value]))
                stream.flush()
                assert verify_macho(path).ok is (value == byte), at


@pytest.mark.slow
def test_signs_the_real_thing_as_planned(identity: Identity, tmp_path: Path) -> None:
    app = assemble(tmp_path / "Bench.app")
    plan = plan_app(app)
    assert [len(batch) for batch in batches(plan.items)] == [4, 1, 1, len(plan.items) - 7, 1]
    signed = tmp_path / "signed" / "Bench.app"
    Portable(identity, timestamp_url=None, signing_time=MOMENT).sign_app(plan, app, signed)
    report = verify_app(signed, trust=identity.certificate_pem, exact=True)
    assert list(report.all_problems()) == []
    assert deviations(plan, report) == ()
    granted = {each.subject for each in report.walk() if each.entitlements}
    assert granted == {"Contents/Helpers/bun"}


def test_no_vendors_metadata_is_worth_keeping(bun: Path, sparkle: Path, libraries: list[Path]) -> None:
    """Why codesign is never told --preserve-metadata: what it would keep is in the plan, harms, or is idle.

    Sparkle's guide keeps the entitlements of Downloader.xpc when signing it again: it has none. Python's
    makers grant them to every library, where they have no effect: a process has those of its program.
    """
    assert set(verify_macho(bun).entitlements) <= set(JIT)
    names = ("Autoupdate", "Updater", "Installer", "Downloader", "Sparkle")
    paths = {path.name: path for path in sparkle.rglob("*") if path.is_file() and not path.is_symlink()}
    kept = {name: set(verify_macho(paths[name]).entitlements) for name in names}
    foreign = {"com.apple.application-identifier"}  # of its makers' team: macOS ends it under ours
    assert {name: found for name, found in kept.items() if found} == {"Autoupdate": foreign}
    assert not any(part.is_main for path in libraries for part in macho.read(path))
