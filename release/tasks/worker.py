"""worker.*: the public side, here and on Cloudflare."""

from __future__ import annotations

import os
import sys
from pathlib import Path

from invoke.collection import Collection
from invoke.context import Context
from invoke.exceptions import Exit as Stop
from invoke.tasks import task

from errors import Exit, Fault
from release.tasks.common import ROOT, console, guarded, whole


@task(
    name="serve",
    help={
        "port": "where to listen on 127.0.0.1",
        "releases": "a folder as the bucket (default: build/worker-data/bucket)",
        "s3": "an S3 endpoint as the bucket instead; keys from R2_ACCESS_KEY_ID, R2_SECRET_ACCESS_KEY",
        "bucket": "the bucket's name there (default: the production profile's)",
        "rehearsal": "show what the last rehearsal has published",
    },
)
@guarded
def worker_serve(
    c: Context,
    port: str = "8788",
    releases: str = "",
    s3: str = "",
    bucket: str = "",
    rehearsal: bool = False,
) -> None:
    """Serve the public side here: uvicorn, SQLite, and a folder or an S3 bucket."""
    words = ["--port", str(whole(port, "--port")), "--data", "build/worker-data"]
    words += ["--releases", str(Path(releases).absolute())] if releases else []
    words += ["--s3", s3] if s3 else []
    words += ["--bucket", bucket] if bucket else []
    os.chdir(ROOT)
    if rehearsal:
        from release import site

        raise Stop(code=site.serve_rehearsal(ROOT, words))
    line = [sys.executable, "-m", "worker.hosts.local", *words]
    os.execv(sys.executable, line)  # noqa: S606 - it gets signals itself


@task(name="dev", help={"port": "where to listen on 127.0.0.1"})
@guarded
def worker_dev(c: Context, port: str = "8787") -> None:
    """Run the public side in Cloudflare's runtime, with a local bucket and database."""
    from commands import Subprocess
    from release import site

    status = site.dev(ROOT, Subprocess(), whole(port, "--port"))
    if status:
        raise Stop(code=status)


@task(name="migrate", help={"local": "the database of worker.dev", "remote": "the deployed one"})
@guarded
def worker_migrate(c: Context, local: bool = False, remote: bool = False) -> None:
    """Apply the database's new migrations."""
    from commands import Subprocess
    from release import site

    if local == remote:
        raise Fault("which database?", cure="say --local or --remote", status=Exit.USAGE)
    said = site.migrate(ROOT, Subprocess(), "local" if local else "remote")
    console().print(said, highlight=False, markup=False)


@task(name="deploy", help={"dry_run": "only put together what would be deployed"})
@guarded
def worker_deploy(c: Context, dry_run: bool = False) -> None:
    """Deploy the public side to Cloudflare. Needs CLOUDFLARE_API_TOKEN."""
    from commands import Subprocess
    from release import site

    said = site.deploy(ROOT, Subprocess(), dry_run=dry_run)
    console().print(said, highlight=False, markup=False)


@task(name="secrets")
@guarded
def worker_secrets(c: Context) -> None:
    """Tell which settings of the public side are set, here and at Cloudflare, and which are missing."""
    from rich.table import Table

    from commands import Subprocess
    from release import site

    table = Table(box=None, pad_edge=False, header_style="dim")
    for column in ("setting", "worker/.dev.vars", "Cloudflare"):
        table.add_column(column)
    words = {True: "[green]set[/]", False: "[dim]missing[/]", None: "[dim]not asked[/]"}
    for secret in site.found_secrets(ROOT, Subprocess()):
        table.add_row(secret.name, words[secret.here], words[secret.there])
    console().print(table)
    if not os.environ.get(site.TOKEN):
        console().print(f"Cloudflare was not asked: {site.TOKEN} is not set", style="dim")


collection = Collection("worker")
for _task in (worker_serve, worker_dev, worker_migrate, worker_deploy, worker_secrets):
    collection.add_task(_task)
