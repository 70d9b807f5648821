"""Sign with Apple's own codesign, on a Mac."""

from __future__ import annotations

import re
import shlex
import shutil
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path, PurePosixPath

from commands import Result, Runner
from errors import Exit, Fault
from signing.certificate import APPLE_AUTHORITIES
from signing.clock import Clock, SystemClock
from signing.entitlements import to_plist
from signing.plan import Item, Plan, canonical_identifier
from signing.staging import staged

MAX_BATCH = 200  # paths in one call: far below the limit of a command line
WAITS = (5.0, 15.0, 45.0)  # seconds before each further try
LATE = re.compile(r"timestamp (service|was expected|server)|timestamps differ", re.I)
UNLOCK = "unlock the keychain, and check that the identity is in it and valid"
CURES = (
    (LATE, "Apple's timestamp server does not answer; try again in some minutes"),
    (
        re.compile(r"self-signed root|errSecInternalComponent", re.I),
        f"unlock the keychain, and put the certificate that issued yours there: {APPLE_AUTHORITIES}",
    ),
    (re.compile(r"ambiguous", re.I), "name the identity by its SHA-1 in signing.name"),
    (
        re.compile(r"User interaction is not allowed", re.I),
        "the keychain is locked: unlock it, or sign from a .p12",
    ),
)


class Codesign:
    """Signs with an identity in a keychain, named by its common name or SHA-1 fingerprint."""

    def __init__(
        self,
        runner: Runner,
        *,
        identity: str,
        keychain: Path | None = None,
        timestamp: bool = True,
        clock: Clock | None = None,
    ) -> None:
        self._runner = runner
        self._clock = clock or SystemClock()
        self._identity = identity
        self._keychain = keychain
        self._timestamp = timestamp

    def sign_app(self, plan: Plan, src: Path, dst: Path) -> None:
        """See Signer."""
        with tempfile.TemporaryDirectory(prefix="signing-") as scratch, staged(dst) as fresh:
            shutil.copytree(src, fresh, symlinks=True)
            for items in batches(plan.items):
                self._run(
                    [*self._app_options(items[0], Path(scratch)), *(fresh / each.path for each in items)]
                )

    def sign_image(self, src: Path, dst: Path, *, identifier: str) -> None:
        """See Signer."""
        with staged(dst) as fresh:
            shutil.copyfile(src, fresh)
            self._run([*self._options(), "--identifier", identifier, fresh])

    def _run(self, argv: Sequence[str | Path]) -> None:
        """Sign, and again after a pause while it is only Apple's timestamp server that does not answer."""
        for pause in (*WAITS, None):
            result = self._runner.run(argv, check=False)
            if not result.status:
                return
            if pause is None or not LATE.search(result.text):
                raise _failed(result)
            self._clock.sleep(pause)

    def _options(self) -> list[str | Path]:
        stamp = "--timestamp" if self._timestamp else "--timestamp=none"
        keychain: list[str | Path] = ["--keychain", self._keychain] if self._keychain else []
        return ["codesign", "--force", "--sign", self._identity, *keychain, stamp]

    def _app_options(self, item: Item, scratch: Path) -> list[str | Path]:
        options = self._options()
        if item.flags:
            options += ["--options", ",".join(item.flags)]
        if item.entitlements:  # without the option codesign --force grants nothing and keeps nothing
            file = scratch / f"{item.identifier}.entitlements"
            file.write_bytes(to_plist(item.entitlements))
            options += ["--entitlements", file]
        named = _explicit_identifier(item)
        return [*options, "--identifier", named] if named else options


def _failed(result: Result) -> Fault:
    cure = next((cure for said, cure in CURES if said.search(result.text)), UNLOCK)
    return Fault(
        "codesign failed",
        where=shlex.join(result.argv),
        cure=cure,
        status=Exit.SIGN,
        details=result.tail(12),
    )


def batches(items: Sequence[Item]) -> Iterator[tuple[Item, ...]]:
    """Split a plan into runs of items that one call can sign."""
    batch: list[Item] = []
    for item in items:
        if batch and (len(batch) == MAX_BATCH or not _together(batch, item)):
            yield tuple(batch)
            batch = []
        batch.append(item)
    if batch:
        yield tuple(batch)


def _explicit_identifier(item: Item) -> str | None:
    """Return the identifier to spell out; None if codesign comes to the same one, and calls can be shared."""
    derived = item.kind == "bundle" or item.identifier == canonical_identifier(PurePosixPath(item.path).name)
    return None if derived else item.identifier


def _together(batch: Sequence[Item], item: Item) -> bool:
    first = batch[0]
    return (
        first.flags == item.flags
        and dict(first.entitlements) == dict(item.entitlements)
        and _explicit_identifier(first) == _explicit_identifier(item)
        and not any(PurePosixPath(each.path).is_relative_to(item.path) for each in batch)
    )
