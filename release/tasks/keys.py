"""keys.*: Sparkle's signing keys."""

from __future__ import annotations

from pathlib import Path

from invoke.collection import Collection
from invoke.context import Context
from invoke.tasks import task

from release.tasks.common import ROOT, console, guarded


@task(
    name="generate", help={"to": "where to keep it: file:PATH or keychain:ACCOUNT (default: the profile's)"}
)
@guarded
def keys_generate(c: Context, profile: str = "rehearsal", to: str = "") -> None:
    """Make a Sparkle key; never overwrites one."""
    from release import config as configuration
    from release import keys

    console().print(keys.generate(configuration.load(ROOT, profile), to), highlight=False)


@task(name="show", help={"key": "the key's URI (default: the profile's)"})
@guarded
def keys_show(c: Context, profile: str = "rehearsal", key: str = "") -> None:
    """Show a key's public half, as it stands in SUPublicEDKey."""
    from release import config as configuration
    from release import keys

    console().print(keys.show(configuration.load(ROOT, profile), key), highlight=False)


@task(
    name="export", help={"path": "the new file, mode 0600", "key": "the key's URI (default: the profile's)"}
)
@guarded
def keys_export(c: Context, path: str, profile: str = "rehearsal", key: str = "") -> None:
    """Copy a private key to a file, to be kept somewhere safe; never overwrites."""
    from release import config as configuration
    from release import keys

    console().print(keys.export(configuration.load(ROOT, profile), Path(path), key), highlight=False)


@task(
    name="import", help={"source": "a file or URI; the 32-byte or the old 96-byte form", "to": "as generate"}
)
@guarded
def keys_import(c: Context, source: str, profile: str = "rehearsal", to: str = "") -> None:
    """Keep a key that comes from elsewhere; never overwrites one."""
    from release import config as configuration
    from release import keys

    console().print(keys.import_key(configuration.load(ROOT, profile), source, to), highlight=False)


@task(
    name="rotate", help={"new_key": "URI of the key to change to", "certificate": "PEM to change to instead"}
)
@guarded
def keys_rotate(c: Context, profile: str = "rehearsal", new_key: str = "", certificate: str = "") -> None:
    """Plan a change of key or certificate: who can still update, and what to do."""
    from release import config as configuration
    from release import keys

    config = configuration.load(ROOT, profile)
    keys.print_plan(keys.rotate(config, new_key, Path(certificate) if certificate else None), console())


collection = Collection("keys")
for _task in (keys_generate, keys_show, keys_export, keys_import, keys_rotate):
    collection.add_task(_task)
