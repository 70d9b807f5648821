"""Which secrets a profile needs, where each is looked for, whether it is there, and where to get it.

Nothing here reads a secret that it does not hand on; what is handed on goes to standard input.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from commands import Runner
from errors import Exit, Fault
from release import config as configuration
from release.config import Config
from release.identity import in_keychains, native
from release.services import placed
from signing import secrets
from signing.eddsa_keys import full
from signing.secrets import SecretFault

_KEYS = "Users and Access → Integrations → App Store Connect API in App Store Connect"
_CERTIFICATE = "Keychain Access: export the Developer ID Application certificate with its key as .p12"
_R2 = "R2 → Manage API tokens in Cloudflare's dashboard: object read and write on this bucket"
_KEYGEN = "./invoke keys.generate makes one; ./invoke keys.show shows its public half"

# Of each key of a profile: what it is for, and where it comes from.
ABOUT: Mapping[str, tuple[str, str]] = {
    "signing.certificate": ("the Developer ID certificate and its key, .p12 in base64", _CERTIFICATE),
    "signing.certificate_password": ("opens that .p12", "you chose it when you exported the certificate"),
    "signing.name": (
        "the certificate's name, as codesign knows it",
        "security find-identity -v -p codesigning, or the certificate's common name",
    ),
    "signing.team_id": ("the team that signs", "Membership details in Apple's developer account"),
    "notary.issuer": ("whose key it is that notarizes", _KEYS),
    "notary.key_id": ("which key notarizes", _KEYS),
    "notary.private_key": ("notarizes: the content of AuthKey_….p8", f"{_KEYS}; it is offered once"),
    "notary.apple_id": ("notarizes on a Mac that has no API key", "the account's e-mail address"),
    "notary.password": (
        "notarizes on a Mac that has no API key",
        "Sign-In and Security → App-Specific Passwords at account.apple.com",
    ),
    "notary.webhook": (
        "the path at which the site takes word from Apple's notary; a release can do without",
        "any long random text, the same one that the site has (NOTARY_WEBHOOK_TOKEN)",
    ),
    "sparkle.private_key": ("signs updates; installed apps accept no other", _KEYGEN),
    "sparkle.public_key": ("what installed apps trust; the private key has to fit it", _KEYGEN),
    "sparkle.retiring_key": ("the key that installed apps trust still", "where it was kept until now"),
    "publish.account": ("the bucket's account", "the account id in Cloudflare's dashboard"),
    "publish.access_key": ("writes the bucket", _R2),
    "publish.secret_key": ("writes the bucket", _R2),
    "publish.purge_zone": ("the zone that caches the site", "the zone's overview in Cloudflare's dashboard"),
    "publish.purge_token": (
        "lets caches forget what has changed",
        "My Profile → API Tokens in Cloudflare's dashboard: Zone / Cache Purge",
    ),
}
# What a release does without, and other tasks need.
BESIDE: tuple[tuple[str, str, str], ...] = (
    (
        "CLOUDFLARE_API_TOKEN",
        "deploys the site (./invoke worker.deploy)",
        "My Profile → API Tokens in Cloudflare's dashboard: edit Workers, R2 and D1",
    ),
)
# Settings that are kept where the secrets are, and may be shown.
PUBLIC = frozenset(
    ("signing.name", "signing.team_id", "sparkle.public_key", "publish.account", "publish.purge_zone")
)
ENVIRONMENT = "production"  # of GitHub: what its rules let in, and no other workflow, gets the secrets
_MADE = "made on the first run"


@dataclass(frozen=True, slots=True)
class Credential:
    """One secret. `key` is its dotted key in release.toml, "" for one that no profile names.

    `address` is `uri` in full. `present` is None where only asking a keychain could tell. `needed`: by a
    release from this machine.
    """

    key: str
    uri: str
    purpose: str
    source: str
    needed: bool
    present: bool | None
    address: str = ""

    @property
    def name(self) -> str:
        """What a person calls it: the variable's name, else the address."""
        return self.uri.removeprefix("env:")

    @property
    def missing(self) -> bool:
        """Whether a release lacks it."""
        return self.needed and self.present is False


def credentials(
    config: Config,
    *,
    natively: bool,
    environ: Mapping[str, str] | None = None,
    dist: Path | None = None,
    runner: Runner | None = None,
) -> tuple[Credential, ...]:
    """Return the secrets of a profile, in the order of release.toml, then what only other tasks need.

    `natively`: notarytool notarizes, with an Apple ID; else the notary's web API does, with its key. With a
    `runner`, keychains are asked whether they have what is looked for there.
    """
    found = configuration.secrets_of(config)
    needed = needed_keys(config, natively=natively, environ=environ)
    rows = [
        _credential(config, key, uri, key in needed, environ, dist or config.root / "dist", runner)
        for key, uri in found.items()
    ]
    named = {one.name for one in rows}
    if not config.rehearsal:
        rows += [
            Credential(
                "", f"env:{name}", purpose, source, False, secrets.present(f"env:{name}", environ=environ)
            )
            for name, purpose, source in BESIDE
            if name not in named
        ]
    return tuple(rows)


def needed_keys(
    config: Config, *, natively: bool, environ: Mapping[str, str] | None = None
) -> tuple[str, ...]:
    """Return those of a profile's secrets that a release needs: one way to sign and one to notarize."""
    spare = {*configuration.OPTIONAL, *_spare_notary(config, natively, environ)}
    if in_keychains(config, environ):
        spare |= {"signing.certificate", "signing.certificate_password"}
    return tuple(key for key in configuration.secrets_of(config) if key not in spare)


def _spare_notary(config: Config, natively: bool, environ: Mapping[str, str] | None) -> tuple[str, ...]:
    api = ("notary.issuer", "notary.key_id", "notary.private_key")
    account = ("notary.apple_id", "notary.password")
    if not natively:
        return account
    if config.profile.notary.keychain_profile is not None:
        return (*api, *account)
    return api if _keyless(config, environ) else account


def _credential(
    config: Config,
    key: str,
    uri: str,
    needed: bool,
    environ: Mapping[str, str] | None,
    dist: Path,
    runner: Runner | None,
) -> Credential:
    purpose, source = ABOUT.get(key, ("", "see docs/release.md"))
    if config.rehearsal and key == "sparkle.private_key" and uri.startswith("file:"):
        needed, source = False, _MADE
    address = placed(uri, config.root, dist)
    if key.startswith("sparkle."):
        address = full(address)
    present = secrets.present(address, environ=environ, runner=runner)
    return Credential(key, uri, purpose, source, needed, present, address)


# loading them into GitHub


@dataclass(frozen=True, slots=True)
class Loaded:
    """A folder of secrets, checked. `missing` are names that the profile needs and the folder lacks."""

    folder: Path
    names: tuple[str, ...]
    missing: tuple[str, ...]

    def argv(self, name: str) -> tuple[str, ...]:
        """Return the command that keeps one for the releasing workflows; its value goes to standard input."""
        return ("gh", "secret", "set", name, "--env", ENVIRONMENT)


def read_folder(folder: Path, known: Sequence[Credential]) -> Loaded:
    """Look through a folder that has one file a secret, named like the environment's variable.

    Raises Fault, status SECRET, naming every file that is open to others, empty, or that nobody knows;
    INPUT_MISSING if there is no such folder. Files whose names begin with a dot are left alone.
    """
    if not folder.is_dir():
        raise Fault(
            "there is no such folder",
            where=folder,
            cure="one file a secret, named like its variable, mode 0600",
            status=Exit.INPUT_MISSING,
        )
    names = sorted(path.name for path in folder.iterdir() if not path.name.startswith("."))
    wanted = {one.name: one for one in known if one.uri.startswith("env:")}
    if problems := [said for name in names if (said := _problem(folder / name, wanted))]:
        raise SecretFault(
            f"{len(problems)} of the files can't be loaded, so none was",
            where=folder,
            details=tuple(problems),
            cure="./invoke secrets --profile production lists the names; each file is for its owner alone",
        )
    missing = [name for name, one in wanted.items() if one.needed and name not in names]
    return Loaded(folder, tuple(names), tuple(missing))


def load_into_github(loaded: Loaded, root: Path, runner: Runner) -> None:
    """Keep every secret in the GitHub repository of the checkout. Safe to repeat.

    Values travel by standard input, so no list of processes ever shows one. Raises Fault, status SECRET,
    saying which are there by then.
    """
    for number, name in enumerate(loaded.names):
        value = secrets.read(f"file:{loaded.folder / name}", runner=runner)
        done = runner.run(loaded.argv(name), cwd=root, stdin=value.encode(), check=False)
        if done.status:
            said = (line for line in secrets.mask(done.text).splitlines() if line.strip())
            before = ", ".join(loaded.names[:number]) or "none"
            raise SecretFault(
                f"GitHub did not take {name}",
                details=(*list(said)[-8:], f"loaded before it: {before}"),
                cure="gh auth login with the scope repo, in a checkout of the repository, which needs an "
                f"environment {ENVIRONMENT} (docs/production.md); then run it again",
            )


def _problem(path: Path, wanted: Mapping[str, Credential]) -> str:
    """Say why a file can't be loaded; "" if it can."""
    if not path.is_file():
        return f"{path.name} is no file"
    if path.name not in wanted:
        return f"{path.name} is none of the secrets"
    try:
        value = secrets.read(f"file:{path}")
    except SecretFault as fault:
        return f"{path.name}: {fault.what}"
    return "" if value.strip() else f"{path.name} is empty"


def natively(config: Config, environ: Mapping[str, str] | None = None) -> bool:
    """Tell whether notarytool notarizes from this machine: on a Mac that has a profile, or no API key.

    With a key our own client is preferred: it tells how far the upload is, and can be told of a webhook.
    """
    toolish = config.profile.notary.keychain_profile is not None or _keyless(config, environ)
    return native(config.profile.notary.way, sys.platform == "darwin" and not config.rehearsal and toolish)


def _keyless(config: Config, environ: Mapping[str, str] | None) -> bool:
    key = config.profile.notary.private_key
    return key is None or secrets.present(key, environ=environ) is False
