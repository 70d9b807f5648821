"""The scripts of docs/production.md, run one after the other by a new maintainer with throwaway keys."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey
from cryptography.hazmat.primitives.serialization import BestAvailableEncryption, load_pem_private_key
from cryptography.hazmat.primitives.serialization.pkcs12 import serialize_key_and_certificates

from signing import identity
from tests.docs.pages import ROOT, blocks
from tests.docs.plays import LOAD

TEAM = "ABCDE12345"
NAME = f"Developer ID Application: Somebody ({TEAM})"
ASKED = {  # what the page has the maintainer copy from his accounts
    "P12_PASSWORD": "a password with $ and ' in it",
    "IDENTITY": NAME,
    "TEAM": TEAM,
    "KEY_ID": "2X9R4HXF34",
    "ISSUER_ID": "57246542-96fe-1a63-e053-0824d011072a",
    "ACCOUNT_ID": "0" * 32,
    "ACCESS_KEY_ID": "1" * 32,
    "SECRET_ACCESS_KEY": "2" * 64,
}


def p12(folder: Path) -> bytes:
    """A Developer ID of nobody's, exported as a newer macOS does."""
    made = identity.throwaway(folder, name=NAME, team_id=TEAM)
    key = load_pem_private_key(made.key_file.read_bytes(), None)
    assert isinstance(key, RSAPrivateKey)
    secret = BestAvailableEncryption(ASKED["P12_PASSWORD"].encode())
    return serialize_key_and_certificates(b"developer-id", key, made.certificate, None, secret)


@pytest.fixture
def maintainer(tmp_path: Path) -> dict[str, str]:
    """The environment of somebody with an empty home, an escrow, and what Apple let him download."""
    home, escrow, invoke = tmp_path / "home", tmp_path / "escrow", tmp_path / "bin/invoke"
    for folder in (home / "release-secrets", escrow, invoke.parent):
        folder.mkdir(parents=True)
    (home / "release-secrets").chmod(0o700)
    exported = home / "release-secrets/developer-id.p12"
    exported.write_bytes(p12(tmp_path / "identity"))
    exported.chmod(0o600)
    (tmp_path / "AuthKey.p8").write_text("-----BEGIN PRIVATE KEY-----\nnot one\n-----END PRIVATE KEY-----\n")
    invoke.write_text(f'#!/bin/sh\ncd "{ROOT}" && exec "{sys.executable}" -m invoke "$@"\n')
    invoke.chmod(0o755)
    paths = {"HOME": str(home), "ESCROW": str(escrow), "P8": str(tmp_path / "AuthKey.p8")}
    return {**ASKED, **paths, "PATH": f"{invoke.parent}:{os.environ['PATH']}"}


def run(script: str, environment: dict[str, str]) -> str:
    """Run a script as it stands, but for where `./invoke` is."""
    words = ["sh", "-eu", "-c", script.replace("./invoke", "invoke")]
    done = subprocess.run(words, env=environment, capture_output=True, text=True, cwd=environment["HOME"])
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.mark.slow
def test_the_set_up_makes_all_secrets(maintainer: dict[str, str]) -> None:
    scripts = [block.text for block in blocks("docs/production.md") if block.language == "sh"]
    taken_back = [script for script in scripts if "keys.import" in script]
    exports = next(script for script in scripts if "for file in" in script)
    said = run("\n".join(script for script in scripts if script not in taken_back), maintainer)
    folder, escrow = (Path(maintainer["HOME"], "release-secrets"), Path(maintainer["ESCROW"]))

    assert NAME in said and TEAM in said and "notAfter=" in said
    public = (folder / "SPARKLE_PUBLIC_ED_KEY").read_text().strip()
    assert len(public) == 44 and public in said  # that of the copy in escrow
    assert all(path.stat().st_mode & 0o077 == 0 for path in [folder, *folder.iterdir(), *escrow.iterdir()])

    told = run(f"{exports}\n./invoke secrets --profile production", maintainer)
    assert "nothing is missing" in told
    loaded = run(f"{LOAD} --dry-run", maintainer)
    assert all(path.name in loaded for path in folder.iterdir())

    (folder / "SPARKLE_PRIVATE_KEY").rename(escrow / "lost")
    run(taken_back[0], maintainer)
    assert (folder / "SPARKLE_PRIVATE_KEY").read_text().strip() == (escrow / "lost").read_text().strip()
