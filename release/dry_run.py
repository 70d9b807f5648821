"""What a dry run tells: the steps, the signing plan, the image, what would be public, and what is missing."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from release import outline
from release.doctor.check import Diagnosis

if TYPE_CHECKING:
    from rich.console import Console

    from release.run import Done


def show(done: Done, console: Console) -> None:
    """Print the whole plan, then whether a real run would start."""
    profile = f" ({done.config.profile_name})"
    console.print(
        f"[bold]{done.config.app.name} {done.version.version} ({done.version.build})[/]{profile}, dry run",
        highlight=False,
    )
    _steps(done, console)
    _signing(done, console)
    _image(done, console)
    _objects(done, console)
    if done.ready is not None:
        ready(done.ready, console)


def ready(found: Diagnosis, console: Console) -> None:
    """Say what a real run would lack, all at once, and what only it can tell."""
    from rich.markup import escape

    for one in found.failed:
        what = escape(one.detail.removeprefix("missing: "))
        console.print(f"[red]missing[/]  {one.group}, {escape(one.name)}: {what}", highlight=False)
        if one.cure:
            console.print(f"         → {escape(one.cure)}", highlight=False)
    if not found.failed:
        console.print("[green]nothing is missing here[/]", highlight=False)
    if found.profile != "rehearsal":
        console.print(
            "[yellow]not asked[/] Apple, the bucket, Cloudflare, the site:"
            f" ./invoke doctor --profile {found.profile} asks them",
            highlight=False,
        )


def _steps(done: Done, console: Console) -> None:
    from rich.table import Table

    table = Table(box=None, pad_edge=False, header_style="dim")
    for column in ("step", "", "why"):
        table.add_column(column)
    for one in done.outcomes:
        table.add_row(one.name, one.status, one.why)
    console.print(table)


def _signing(done: Done, console: Console) -> None:
    from signing.plan import describe, plan_app, rules

    who = done.config.profile.signing
    app = next(_apps(done), None)
    if app is None:
        head, rows = "by rule, for no app has been put together yet", rules()
    else:
        mine = "" if app == done.places.embedded else f", as in {app.relative_to(done.places.dist)}"
        head, rows = f"inside out{mine}", describe(plan_app(app))
    console.print(f"\nsigning plan, {head}; {who.name}, team {who.team_id}:", highlight=False)
    for row in rows:
        console.print("  " + "  ".join(str(cell) for cell in row), highlight=False, markup=False)


def _apps(done: Done) -> Iterator[Path]:
    """Yield apps that were put together: this release's, else the last one's, made by the same rules."""
    home = done.places
    for app in (home.embedded, *home.dist.glob("current/work/embedded/*.app")):
        if app.is_dir():
            yield app.parent.resolve() / app.name if app != home.embedded else app


def _image(done: Done, console: Console) -> None:
    from release.image.plan import icon_locations
    from release.steps.sign import image_plan

    plan = image_plan(done.config, done.version, done.places)
    seen = {name: at for name, at in icon_locations(plan).items() if not name.startswith(".")}
    icons = ", ".join(f"{name} at {x}, {y}" for name, (x, y) in seen.items())
    console.print(
        f"\nimage: {done.places.image_name}, volume “{plan.volume_name}”, {plan.format},"
        f" window {plan.window[0]}×{plan.window[1]}, icons {plan.icon_size} pt: {icons}"
        " (a link to /Applications)",
        highlight=False,
    )


def _objects(done: Done, console: Console) -> None:
    publish = done.config.profile.publish
    where = publish.endpoint or "a local S3 server"
    console.print(f"\nto be published, in this order, in {publish.bucket} at {where}:", highlight=False)
    for number, one in enumerate(outline.objects(done.config, done.version, done.places), 1):
        console.print(f"{number:3}  {one.key}: {one.how}", highlight=False, markup=False)
        for name, value in one.headers.items():
            console.print(f"       [dim]{name}: {value}[/]", highlight=False)
    forgotten = outline.purged(done.config)
    told = ", ".join(forgotten) or "nobody: no publish.purge_zone is set, caches follow within a minute"
    console.print(f"then told to forget: {told}\n", highlight=False, soft_wrap=True)
