"""The notary through Apple's own `xcrun notarytool`, on a Mac.

Its exit status says little (zero for a refused archive, not zero for a status that did arrive) and its JSON
comes on either stream, so the text decides. `submit` never waits: waiting is asking `info` now and then,
which outlives lost connections. Secrets go through a file, the Keychain or standard input, never argv.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from commands import Result, Runner
from errors import Exit, Fault
from signing.clock import Clock, SystemClock
from signing.notary import digest
from signing.notary_log import NotaryLog, parse_log
from signing.submission import AFRESH, RESUME, LogPending, NotaryFault, Progress, Receipt, Submission

QUERY_TIMEOUT = 180.0
UPLOAD_TIMEOUT = 3600.0
PAUSE = 10.0  # before a question is asked for the second and last time
SLACK = 60.0  # between this machine's clock and Apple's

REFUSED = re.compile(
    r"\b(401|403)\b|invalid credentials|unable to authenticate|no keychain password item|agreement", re.I
)
BROKEN_UPLOAD = re.compile(r"fail|error|abort|cancel|timed? ?out", re.I)
STORED = re.compile(r"credentials saved", re.I)
STRANGER = re.compile(r"does not exist|not belong", re.I)
NO_LOG = re.compile(r"log is not yet available|not yet available", re.I)


@dataclass(frozen=True, slots=True)
class KeychainProfile:
    """What `notarytool store-credentials NAME` put into the Keychain."""

    name: str
    keychain: Path | None = None

    def arguments(self) -> tuple[str, ...]:
        """Return the options that name the credentials."""
        keychain = ("--keychain", str(self.keychain)) if self.keychain else ()
        return ("--keychain-profile", self.name, *keychain)


def store(
    name: str,
    apple_id: str,
    team_id: str,
    password: str,
    *,
    runner: Runner,
    keychain: Path,
    clock: Clock | None = None,
) -> KeychainProfile:
    """Have notarytool keep an Apple ID with an app-specific password as a profile in `keychain`.

    It takes the password from its prompt, which reads standard input: on a command line everybody could read
    it, and altool's `@env:` means nothing to notarytool, which sends it as the password. It asks Apple
    whether they are right. Raises NotaryFault, status NOTARY_AUTH or NETWORK.
    """
    argv = ("xcrun", "notarytool", "store-credentials", name, "--apple-id", apple_id, "--team-id", team_id)
    for last in (False, False, True):
        result = runner.run(
            (*argv, "--keychain", str(keychain)),
            stdin=f"{password}\n".encode(),
            timeout=QUERY_TIMEOUT,
            check=False,
        )
        if STORED.search(result.text):
            return KeychainProfile(name, keychain)
        if last or REFUSED.search(_said(result)):
            break
        (clock or SystemClock()).sleep(PAUSE)
    raise _failure("store-credentials", result)


@dataclass(frozen=True, slots=True)
class KeyFile:
    """An App Store Connect key in a .p8 file; `issuer` only for a team's key."""

    path: Path
    key_id: str
    issuer: str | None = None

    def arguments(self) -> tuple[str, ...]:
        """Return the options that name the credentials."""
        issuer = ("--issuer", self.issuer) if self.issuer else ()
        return ("--key", str(self.path), "--key-id", self.key_id, *issuer)


ToolCredentials = KeychainProfile | KeyFile


class Notarytool:
    """A Notary (see signing.submission) that starts `xcrun notarytool` for every question."""

    def __init__(
        self,
        runner: Runner,
        *,
        credentials: ToolCredentials,
        clock: Clock | None = None,
        webhook: str | None = None,
    ) -> None:
        """Keep what calls need."""
        self._runner = runner
        self._credentials = credentials
        self._clock = clock or SystemClock()
        self._webhook = webhook

    def submit(
        self,
        path: Path,
        *,
        name: str | None = None,
        on_created: Callable[[Receipt], None] | None = None,
        on_progress: Progress | None = None,
    ) -> Receipt:
        """See Notary.submit. The tool takes the name from the file and tells the id when all is uploaded.

        If it ends without telling one, the history is asked whether the submission arrived nevertheless.
        """
        sha256, started = digest(path), self._clock.now()
        webhook = ("--webhook", self._webhook) if self._webhook else ()
        answer, result = self._run("submit", str(path), "--no-wait", "--no-progress", *webhook)
        id = str(answer.get("id") or "") or self._arrived(path.name, started)
        if not id:
            raise _failure("submit", result)
        if BROKEN_UPLOAD.search(str(answer.get("message") or "")):
            raise NotaryFault(
                f"the upload of submission {id} broke off: {answer['message']}",
                cure="run ./invoke release again: what never arrived is never examined",
                status=Exit.NETWORK,
            )
        receipt = Receipt(id, sha256)
        if on_created:
            on_created(receipt)
        if on_progress:
            on_progress(path.stat().st_size, path.stat().st_size)
        return receipt

    def status(self, id: str) -> str:
        """See Notary.status."""
        return str(self._ask("status", "info", id)["status"])

    def log(self, id: str) -> NotaryLog:
        """See Notary.log."""
        return parse_log(self._ask("jobId", "log", id))

    def history(self) -> list[Submission]:
        """See Notary.history."""
        return [
            Submission(*(str(item.get(name, "")) for name in ("id", "name", "status", "createdDate")))
            for item in self._ask("history", "history")["history"]
        ]

    def _arrived(self, name: str, started: float) -> str:
        try:
            found = [each for each in self.history() if each.name == name]
        except Fault:
            return ""
        return next((each.id for each in found if _seconds(each.created) >= started - SLACK), "")

    def _ask(self, wanted: str, *arguments: str) -> dict[str, Any]:
        """Ask, and once more if the answer lacks `wanted`: a single lost answer decides nothing."""
        for last in (False, True):
            answer, result = self._run(*arguments)
            if wanted in answer:
                return answer
            if NO_LOG.search(_said(result)):
                raise LogPending(f"the log of submission {arguments[-1]} is not ready", cure=RESUME)
            if last or REFUSED.search(_said(result)) or STRANGER.search(_said(result)):
                raise _failure(arguments[0], result)
            self._clock.sleep(PAUSE)
        raise AssertionError("the second answer is the last")

    def _run(self, verb: str, *arguments: str) -> tuple[dict[str, Any], Result]:
        argv = ("xcrun", "notarytool", verb, *arguments, *self._credentials.arguments())
        try:
            result = self._runner.run(
                (*argv, "--output-format", "json"),
                timeout=UPLOAD_TIMEOUT if verb == "submit" else QUERY_TIMEOUT,
                check=False,
            )
        except Fault as fault:
            if fault.status is Exit.TOOL:
                raise
            result = Result(argv, -1, stderr=fault.what.encode())  # it did not finish in time
        return answer_in(result), result


def answer_in(result: Result) -> dict[str, Any]:
    """Return the last JSON object on either stream, stdout first; an empty one if there is none."""
    for stream in (result.stdout, result.stderr):
        found = list(_objects(stream.decode("utf-8", "replace")))
        if found:
            return found[-1]
    return {}


def _objects(text: str) -> Iterator[dict[str, Any]]:
    decoder, at = json.JSONDecoder(), text.find("{")
    while at >= 0:
        try:
            value, end = decoder.raw_decode(text, at)
        except ValueError:
            end = at + 1
        else:
            yield value
        at = text.find("{", end)


def _said(result: Result) -> str:
    """Return what the tool said, without ids: their digits could be taken for an HTTP status."""
    return re.sub(r"[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}", "", result.text)


def _failure(verb: str, result: Result) -> NotaryFault:
    said = _said(result)
    if REFUSED.search(said):
        cure = "check the credentials; a profile is made by xcrun notarytool store-credentials"
        status = Exit.NOTARY_AUTH
    elif STRANGER.search(said):
        cure, status = f"was it another account's? {AFRESH}", Exit.NOTARY_UNKNOWN
    else:
        cure, status = f"check the connection; what was submitted lives on: {RESUME}", Exit.NETWORK
    what = f"notarytool {verb} gave no usable answer"
    return NotaryFault(what, details=result.tail(), cure=cure, status=status)


def _seconds(text: str) -> float:
    try:
        return datetime.fromisoformat(text).timestamp()
    except ValueError:
        return 0.0
