"""`release.toml`: what is shipped, from which inputs, to where.

Shared tables first, then one table a profile. Everything is checked before anything runs: an unknown key, a
wrong type or a missing value is a fault that names the key and what is allowed.
"""

from __future__ import annotations

import ipaddress
import re
import tomllib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Annotated, Any, Literal, get_args
from urllib.parse import urlsplit

import msgspec
from msgspec import Meta, Struct

from errors import Exit, Fault

Arch = Literal["arm64", "x86_64", "universal2"]
ImageFormat = Literal["ULFO", "UDZO", "ULMO"]
Way = Literal["auto", "native", "portable"]
ProfileName = Literal["rehearsal", "production"]
OPTIONAL = ("notary.webhook",)  # secrets that a release can do without

BundleId = Annotated[str, Meta(pattern=r"^[A-Za-z0-9-]+(\.[A-Za-z0-9-]+)+$")]
Dotted = Annotated[str, Meta(pattern=r"^\d+(\.\d+){1,2}$")]
Uri = Annotated[str, Meta(pattern=r"^(env|file|keychain):.+$")]
Url = Annotated[str, Meta(pattern=r"^https?://[^\s/]+(/\S*)?$")]
Build = Annotated[str, Meta(pattern=r"^\d{1,9}(\.\d{1,9}){0,3}$")]
Language = Annotated[str, Meta(pattern=r"^[a-z]{2,3}(-[A-Za-z0-9]{2,8})*$")]
TeamId = Annotated[str, Meta(pattern=r"^([A-Z0-9]{10}|env:\w+)$")]
Positive = Annotated[int, Meta(gt=0)]
Count = Annotated[int, Meta(ge=0)]
Minutes = Annotated[float, Meta(gt=0)]


class App(Struct, frozen=True, forbid_unknown_fields=True):
    """What the app is called and where it runs."""

    name: str
    bundle_id: BundleId
    category: str
    copyright: str
    minimum_system: Dotted = "13.0"
    arch: Arch = "arm64"


class Image(Struct, frozen=True, forbid_unknown_fields=True):
    """The disk image: its file name and its window."""

    name: Annotated[
        str, Meta(pattern=r"^[A-Za-z0-9._-]*\{version\}[A-Za-z0-9._-]*\{build\}[A-Za-z0-9._-]*\.dmg$")
    ]
    latest: Annotated[str, Meta(pattern=r"^[A-Za-z0-9._-]+\.dmg$")]
    format: ImageFormat = "ULFO"
    window: tuple[Positive, Positive] = (720, 432)
    icon_size: Positive = 96


class FeedRules(Struct, frozen=True, forbid_unknown_fields=True):
    """How users are offered a release. Versions here are builds, which is what Sparkle compares."""

    channel: Annotated[str, Meta(pattern=r"^[A-Za-z0-9_.-]+$")] = "stable"
    maximum_versions: Count = 3
    phased_rollout_interval: Count = 0
    critical: bool = False
    critical_below: Build | None = None
    minimum_update_version: Build | None = None
    minimum_autoupdate_version: Build | None = None
    ignore_skipped_upgrades_below_version: Build | None = None


class NotesRules(Struct, frozen=True, forbid_unknown_fields=True):
    """The release notes: what becomes of CHANGELOG.md and its translations, CHANGELOG.<language>.md."""

    format: Literal["html", "markdown"] = "html"
    language: Language = "en"
    allow_html: bool = False
    full_page: bool = True


class Signing(Struct, frozen=True, forbid_unknown_fields=True):
    """Who signs. `certificate` absent: a rehearsal makes itself one, production asks the Mac's keychains.

    `chain` is a file of the checkout with the certificates above, PEM or DER, if the .p12 lacks them.
    """

    team_id: TeamId
    name: str
    way: Way = "auto"
    certificate: Uri | None = None
    certificate_password: Uri | None = None
    chain: str | None = None
    timestamp_url: Url | None = None


class Notary(Struct, frozen=True, forbid_unknown_fields=True):
    """Where to notarize. Without `url` the rehearsal's stand-in answers, and behaves as `stand_in` says.

    `webhook` is the token in the address that the notary calls when it is done; it may be absent.
    """

    way: Way = "auto"
    url: Url | None = None
    ticket_url: Url | None = None
    issuer: Uri | None = None
    key_id: Uri | None = None
    private_key: Uri | None = None
    keychain_profile: Annotated[str, Meta(pattern=r"^[A-Za-z0-9._-]+$")] | None = None
    apple_id: Uri | None = None
    password: Uri | None = None
    timeout_minutes: Minutes = 45
    webhook: Uri | None = None
    stand_in: str = ""


class Sparkle(Struct, frozen=True, forbid_unknown_fields=True):
    """The EdDSA key. `public_key` (or `env:NAME`) is what the apps made from now on trust; they are compared.

    `retiring_key`, during a rotation, is the private key that installed apps still trust.
    """

    private_key: Uri
    public_key: str | None = None
    retiring_key: Uri | None = None


class Publish(Struct, frozen=True, forbid_unknown_fields=True):
    """The bucket and the public address before it. Without `endpoint` a local S3 server is the bucket.

    `purge_zone` (or `env:NAME`) is the Cloudflare zone that caches the site; without it nobody is told.
    """

    site: Url
    bucket: Annotated[str, Meta(pattern=r"^[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]$")]
    endpoint: Url | None = None
    account: Uri | None = None
    access_key: Uri | None = None
    secret_key: Uri | None = None
    purge_api: Url = "https://api.cloudflare.com/client/v4"
    purge_zone: Annotated[str, Meta(pattern=r"^([0-9a-f]{32}|env:\w+)$")] | None = None
    purge_token: Uri | None = None


class Profile(Struct, frozen=True, forbid_unknown_fields=True):
    """One way to release."""

    signing: Signing
    sparkle: Sparkle
    publish: Publish
    notary: Notary = Notary()
    bundle_id_suffix: Annotated[str, Meta(pattern=r"^(\.[A-Za-z0-9-]+)?$")] = ""
    require_clean: bool = True
    require_tag: bool = True


class File(Struct, frozen=True, forbid_unknown_fields=True):
    """The whole of release.toml."""

    app: App
    image: Image
    profiles: dict[ProfileName, Profile]
    inputs: dict[ProfileName, dict[str, Any]]
    feed: FeedRules = FeedRules()
    notes: NotesRules = NotesRules()


class Config(Struct, frozen=True):
    """What is in force for one run: the shared tables and one profile."""

    root: Path
    profile_name: ProfileName
    app: App
    image: Image
    profile: Profile
    inputs: dict[str, Any]
    feed: FeedRules = FeedRules()
    notes: NotesRules = NotesRules()

    @property
    def rehearsal(self) -> bool:
        """Whether this run is a rehearsal."""
        return self.profile_name == "rehearsal"

    @property
    def bundle_id(self) -> str:
        """The bundle identifier, marked if this is a rehearsal."""
        return self.app.bundle_id + self.profile.bundle_id_suffix

    @property
    def site(self) -> str:
        """The public address, without a trailing slash."""
        return self.profile.publish.site.rstrip("/")

    @property
    def feed_url(self) -> str:
        """Where installed apps look for updates."""
        return f"{self.site}/appcast.xml"


class ConfigFault(Fault):
    """release.toml says something that can't be."""

    status = Exit.CONFIG


def load(
    root: Path,
    profile: str = "rehearsal",
    *,
    overrides: Mapping[str, str] | None = None,
    name: str = "release.toml",
) -> Config:
    """Read and check `root`/release.toml. `overrides`: dotted keys to TOML values. Raises ConfigFault."""
    path = root / name
    data = _read(path)
    for key, value in (overrides or {}).items():
        _override(data, key, value)
    file = _convert(data, path)
    if profile not in file.profiles:
        allowed = ", ".join(sorted(file.profiles))
        raise ConfigFault(f"there is no profile {profile!r}", where=path, cure=f"use one of: {allowed}")
    chosen: ProfileName = "production" if profile == "production" else "rehearsal"
    if chosen not in file.inputs:
        raise ConfigFault(f"missing value inputs.{chosen}", where=path, cure="pin that profile's inputs")
    profiles, inputs = file.profiles[chosen], file.inputs[chosen]
    config = Config(root, chosen, file.app, file.image, profiles, inputs, file.feed, file.notes)
    _check_rules(config, path)
    if not config.rehearsal:
        _check_inputs(file, path)
    _check_feed(config.feed, path)
    return config


def _read(path: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(path.read_text("utf-8"))
    except FileNotFoundError:
        raise ConfigFault(
            "there is no release.toml", where=path, cure="run ./invoke in the checkout"
        ) from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ConfigFault(f"release.toml is not TOML: {error}", where=path) from None


def _override(data: dict[str, Any], key: str, text: str) -> None:
    """Set one dotted key. The text is read as a TOML value, or as a plain string if it isn't one."""
    try:
        value = tomllib.loads(f"value = {text}")["value"]
    except tomllib.TOMLDecodeError:
        value = text
    *tables, last = key.split(".")
    for table in tables:
        data = data.setdefault(table, {})
        if not isinstance(data, dict):
            raise ConfigFault(
                f"{key} is not a key: {table} is a value", cure="./invoke config lists the keys"
            )
    data[last] = value


def _convert(data: dict[str, Any], path: Path) -> File:
    try:
        return msgspec.convert(data, File)
    except msgspec.ValidationError as error:
        what, key = _place(str(error), data)
        raise ConfigFault(f"{key}: {what}", where=path, cure=_allowed(key)) from None


def _place(message: str, data: dict[str, Any]) -> tuple[str, str]:
    """Split msgspec's `… - at `$.app.arch`` into the complaint and a dotted key.

    A dictionary's member is shown as `[...]`: profiles are looked for by hand, so that the key names the one.
    """
    complaint, _, where = message.partition(" - at `")
    key = re.sub(r"^(key in )?\$\.?", "", where.rstrip("`"))
    unknown = re.search(r"(?:unknown|required) field `(\w+)`", complaint)
    if "[...]" in key:
        key = _guess_member(key, data)
    if unknown:
        key = f"{key}.{unknown.group(1)}".lstrip(".")
        complaint = "unknown key" if "unknown" in complaint else "missing value"
    return complaint[:1].lower() + complaint[1:], key or "release.toml"


def _guess_member(key: str, data: dict[str, Any]) -> str:
    table = key.split("[...]")[0].rstrip(".")
    for name in data.get(table, {}):
        try:
            msgspec.convert(data[table][name], Profile)
        except msgspec.ValidationError:
            return key.replace("[...]", f".{name}")
    return key


def _allowed(key: str) -> str:
    """What may stand at `key`, from the types above: the keys of its table, or the values of its type."""
    kind: Any = File
    for part in key.split(".")[:-1]:
        kind = _member(kind, part)
    fields = {field.name: field.type for field in msgspec.structs.fields(kind)} if _is_struct(kind) else {}
    last = key.rpartition(".")[2]
    if last in fields:
        return f"allowed: {_describe(fields[last])}"
    return "allowed here: " + ", ".join(sorted(fields)) if fields else "see docs/release.md"


def _is_struct(kind: Any) -> bool:
    return isinstance(kind, type) and issubclass(kind, Struct)


def _member(kind: Any, part: str) -> Any:
    if _is_struct(kind):
        return {field.name: field.type for field in msgspec.structs.fields(kind)}.get(part)
    values = get_args(kind)
    return values[1] if len(values) == 2 else None


def _describe(kind: Any) -> str:
    inner = [arg for arg in get_args(kind) if arg is not type(None)]
    meta = next((arg for arg in inner if isinstance(arg, Meta)), None)
    if meta is not None:
        pattern = f" matching {meta.pattern}" if meta.pattern else " above 0" if meta.gt is not None else ""
        return _describe(inner[0]) + pattern
    if inner and all(isinstance(arg, str) for arg in inner):
        return " or ".join(f'"{arg}"' for arg in inner)
    if inner and getattr(kind, "__origin__", None) is not tuple:
        return " or ".join(_describe(arg) for arg in inner)
    return {"str": "text", "int": "a whole number", "float": "a number", "bool": "true or false"}.get(
        getattr(kind, "__name__", ""), "a list of two whole numbers" if inner else "a table"
    )


def is_loopback(url: str) -> bool:
    """Tell whether an address is this machine's own."""
    host = urlsplit(url).hostname or ""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost" or host.endswith(".localhost")


def _check_rules(config: Config, path: Path) -> None:
    """What types alone can't say: a rehearsal is marked and stays on loopback, production is neither."""
    problems = _rehearsal_rules(config) if config.rehearsal else _production_rules(config)
    for wrong, key, why in problems:
        if wrong:
            raise ConfigFault(f"profiles.{config.profile_name}.{key}: {why}", where=path)


def _rehearsal_rules(config: Config) -> Iterator[tuple[bool, str, str]]:
    profile = config.profile
    yield not is_loopback(config.site), "publish.site", "a rehearsal's feed must be on loopback"
    yield not profile.bundle_id_suffix, "bundle_id_suffix", "a rehearsal must be marked"
    yield profile.publish.endpoint is not None, "publish.endpoint", "a rehearsal has its own bucket"


def _production_rules(config: Config) -> Iterator[tuple[bool, str, str]]:
    # Loads cryptography, which most who read a setting can spare.
    from signing.certificate import REHEARSAL_TEAM

    profile = config.profile
    signing, notary, publish = profile.signing, profile.notary, profile.publish
    yield bool(notary.stand_in), "notary.stand_in", "production has none"
    yield bool(profile.bundle_id_suffix), "bundle_id_suffix", "production has none"
    yield (
        signing.team_id == REHEARSAL_TEAM,
        "signing.team_id",
        "production has its own",
    )
    yield (
        signing.certificate is None and signing.way == "portable",
        "signing.certificate",
        "production needs one where codesign does not sign",
    )
    yield profile.sparkle.public_key is None, "sparkle.public_key", "production needs one"
    addresses = {
        "publish.site": publish.site,
        "publish.endpoint": publish.endpoint,
        "publish.purge_api": publish.purge_api,
        "notary.url": notary.url,
        "notary.ticket_url": notary.ticket_url,
        "signing.timestamp_url": signing.timestamp_url,
    }
    for key, url in addresses.items():
        yield url is None, key, "production needs one"
        yield is_loopback(url or ""), key, "production can't be on loopback"


def _check_inputs(file: File, path: Path) -> None:
    """Refuse inputs of the rehearsal's among production's, under whatever name. Raises ConfigFault."""
    marked = {pin.get("digest"): name for name, pin in _pins(file, "rehearsal") if pin.get("rehearsal_only")}
    for name, pin in _pins(file, "production"):
        found = name if pin.get("rehearsal_only") else marked.get(pin.get("digest"))
        if found is not None:
            raise ConfigFault(
                f"inputs.production.{name}: this file is for rehearsals only ({found})",
                where=path,
                cure="pin what its publisher offers",
            )


def _pins(file: File, profile: ProfileName) -> Iterator[tuple[str, dict[str, Any]]]:
    for name, pin in file.inputs.get(profile, {}).items():
        if isinstance(pin, dict):
            yield name, pin


def _check_feed(feed: FeedRules, path: Path) -> None:
    problems = (
        (
            feed.channel.lower() in ("default", "release"),
            "channel",
            'nobody follows that channel: "stable" reaches everybody',
        ),
        (feed.critical and feed.critical_below is not None, "critical_below", "critical = true is for all"),
        (
            feed.ignore_skipped_upgrades_below_version is not None
            and feed.minimum_autoupdate_version is None,
            "ignore_skipped_upgrades_below_version",
            "only a major upgrade, with minimum_autoupdate_version, has skipped ones",
        ),
    )
    for wrong, key, why in problems:
        if wrong:
            raise ConfigFault(f"feed.{key}: {why}", where=path)


def secrets_of(config: Config) -> dict[str, str]:
    """Every secret's dotted key → its URI, for `config` and the check before a production release."""
    found: dict[str, str] = {}
    for table in ("signing", "notary", "sparkle", "publish"):
        for key, value in msgspec.structs.asdict(getattr(config.profile, table)).items():
            if isinstance(value, str) and re.match(r"^(env|file|keychain):", value):
                found[f"{table}.{key}"] = value
    return found
