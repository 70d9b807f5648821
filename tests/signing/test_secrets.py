from __future__ import annotations

from pathlib import Path

import pytest

from commands import Result
from errors import Exit
from signing import secrets
from signing.secrets import SecretFault
from tests.standins.commands import Recorder


def test_from_the_environment() -> None:
    assert secrets.read("env:TOKEN", environ={"TOKEN": "s3cret-value\n"}) == "s3cret-value"
    with pytest.raises(SecretFault) as caught:
        secrets.read("env:TOKEN", environ={})
    assert caught.value.status == Exit.SECRET
    assert "TOKEN" in str(caught.value)


def test_from_a_file_that_only_its_owner_reads(tmp_path: Path) -> None:
    path = tmp_path / "key"
    path.write_text("file-secret\n")
    path.chmod(0o600)
    assert secrets.read(f"file:{path}") == "file-secret"
    path.chmod(0o640)
    with pytest.raises(SecretFault, match="0640"):
        secrets.read(f"file:{path}")
    with pytest.raises(SecretFault, match="missing"):
        secrets.read(f"file:{tmp_path / 'none'}")


def test_from_the_keychain() -> None:
    recorder = Recorder(lambda argv: Result(argv, 0, b"chain-secret\n"))
    assert secrets.read("keychain:https://sparkle-project.org/ed25519", runner=recorder) == "chain-secret"
    assert recorder.calls == [
        ("security", "find-generic-password", "-s", "https://sparkle-project.org", "-a", "ed25519", "-w")
    ]
    with pytest.raises(SecretFault):
        secrets.read("keychain:a/b", runner=Recorder(lambda argv: Result(argv, 44)))


@pytest.mark.parametrize("uri", ["plain-value", "env:", "keychain:noslash", "http://x"])
def test_other_addresses_are_refused_and_not_repeated(uri: str) -> None:
    with pytest.raises(SecretFault) as caught:
        secrets.read(uri, environ={})
    assert "plain-value" not in str(caught.value)


def test_what_was_read_is_masked_everywhere() -> None:
    secrets.read("env:A", environ={"A": "inner-secret"})
    secrets.read("env:B", environ={"B": "inner-secret-and-more\nsecond line"})
    assert secrets.mask("x inner-secret-and-more y inner-secret") == "x •••••• y ••••••"
    assert "second line" not in secrets.mask("second line of a key")
