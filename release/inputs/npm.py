"""Packages by name, through npm."""

from __future__ import annotations

from pathlib import Path

from commands import Runner
from release.inputs.faults import absent, explain
from release.inputs.node import PATIENCE, Npm
from release.inputs.node import npm as find_npm
from release.inputs.pins import Pin


def download(pin: Pin, folder: Path, *, runner: Runner, client: Npm | None = None) -> Path:
    """Download the pinned package's tarball into `folder`; the caller checks its digest.

    npm's own cache is put into `folder` too, so that the tarball is not kept twice.
    """
    client = client or find_npm(runner)
    cache = folder / "npm"
    result = runner.run(
        [
            *client.argv,
            *("pack", "--loglevel=error", "--ignore-scripts", *PATIENCE),
            *("--cache", cache, "--pack-destination", folder),
            f"{pin.package}@{pin.version}",
        ],
        cwd=folder,
        env=client.env,
        check=False,
    )
    found = sorted(folder.glob("*.tgz"))
    if result.status == 0 and len(found) == 1:
        return found[0]
    where = f"{pin.package}@{pin.version}"
    if result.status == 0:
        raise absent(pin.title, where=where)
    raise explain(result, pin.title, where=where)
