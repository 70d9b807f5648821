"""inputs → bundle → embed → audit: from pinned inputs and source to an unsigned app."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Callable
from dataclasses import asdict, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from release.bridge import SOURCE as BRIDGE
from release.files import sha256, write_json
from release.pipeline import Advance, Needs, Step
from release.steps.job import Facts, Job, paths, tools, tree_size

if TYPE_CHECKING:
    from release.bundle.spec import BundleSpec

Target = Literal["arm64", "x86_64", "host"]
APP_LOCK = Path("requirements/app.txt")
RUNTIME_EPOCH = 1_767_225_600  # embedding gives every file the release's own time
RUNTIME_CODE = (
    "child", "compile", "cross", "imports", "job", "launcher", "machos", "native", "options",
    "runtime", "spec", "thin", "tree",
)  # fmt: skip


def _inputs_needs(job: Job) -> Needs:
    return Needs(
        files=[job.root / APP_LOCK, job.root / BRIDGE / "package-lock.json"],
        settings={"pins": job.config.inputs, "arch": job.config.app.arch, "python": job.python},
        code=["release/inputs"],
    )


def _inputs_run(job: Job, advance: Advance) -> Facts:
    from release import inputs

    services, targets = job.services, ("host", *_slices(job.config.app.arch))
    makers: list[Callable[[], object]] = [lambda: _prefix(job), lambda: site_packages(job)]
    makers += [partial(_bun, job, target) for target in targets]
    makers += [
        lambda: inputs.sparkle(services.cache, services.pins, runner=services.runner),
        lambda: inputs.htmx(services.cache, services.pins, runner=services.runner),
        lambda: _modules(job),
    ]
    for number, make in enumerate(makers):
        advance(number, len(makers))
        make()
    facts = asdict(inputs.python_facts(_prefix(job)))
    used = {
        name: asdict(services.pins[name])
        for name in needed_pins(job.config.app.arch, job.python)
        if name in services.pins
    }
    write_json(job.places.inputs_note, {"python": facts, "pins": used})
    return {"note": f"{len(used)} pinned, CPython {facts['libpython']}"}


def needed_pins(arch: str, python: str) -> list[str]:
    """Names of the pins that a release for `arch` with this minor version of Python is made from."""
    from release.inputs.bun import pin_name

    targets: tuple[Target, ...] = ("host", *_slices(arch))
    return [f"python-{python}", "sparkle", "htmx", *sorted({pin_name(target) for target in targets})]


def _slices(arch: str) -> tuple[Target, ...]:
    if arch == "universal2":
        return ("arm64", "x86_64")
    return ("x86_64",) if arch == "x86_64" else ("arm64",)


def _prefix(job: Job) -> Path:
    from release import inputs

    return inputs.python_prefix(
        job.services.cache, job.services.pins, version=job.python, runner=job.services.runner
    )


def site_packages(job: Job) -> Path:
    """The app's Python packages for the Mac, in the cache."""
    from release import inputs

    return inputs.site_packages(
        job.services.cache,
        job.root / APP_LOCK,
        arch=job.config.app.arch,
        python=job.python,
        runner=job.services.runner,
    )


def _bun(job: Job, target: Target) -> Path:
    from release import inputs

    return inputs.bun(job.services.cache, job.services.pins, target, runner=job.services.runner)


def _modules(job: Job) -> Path:
    from release import inputs

    return inputs.bridge_modules(job.services.cache, job.root / BRIDGE, runner=job.services.runner)


def _spec(job: Job) -> BundleSpec:
    from release.bundle.spec import BundleSpec

    app = job.config.app
    return BundleSpec(
        name=app.name,
        bundle_id=job.config.bundle_id,
        version=job.version.version,
        build=job.version.build,
        arch=app.arch,
        python=job.python,
        feed_url=job.config.feed_url,
        public_ed_key=job.services.sparkle_public_key,
        minimum_system=app.minimum_system,
        category=app.category,
        copyright=app.copyright,
        epoch=job.version.epoch,
        source=job.root,
    )


def _runtime_spec(job: Job) -> BundleSpec:
    """The spec without what changes from build to build, so that one runtime serves many."""
    return replace(_spec(job), version="0", build="0", epoch=RUNTIME_EPOCH)


def _bundle_needs(job: Job) -> Needs:
    from release.bundle.runtime import runtime_inputs

    return Needs(
        files=[job.root / APP_LOCK],
        settings=dict(runtime_inputs(_runtime_spec(job))),
        tools=tools("py2app", "macholib", "modulegraph", "setuptools"),
        code=[f"release/bundle/{name}.py" for name in RUNTIME_CODE],
        after=["inputs"],
    )


def _runtime_key(job: Job) -> str:
    """A digest of all that the runtime depends on. The app's own code is not among it, its imports are."""
    needs = _bundle_needs(job)
    material = {
        "lock": sha256(job.root / APP_LOCK),
        "settings": needs.settings,
        "tools": needs.tools,
        "code": [sha256(job.root / name) for name in needs.code],
        "inputs": json.loads(job.places.inputs_note.read_text("utf-8")),
    }
    return hashlib.sha256(json.dumps(material, sort_keys=True).encode()).hexdigest()


def _runtime(job: Job) -> Path:
    """The runtime app in the cache, built by py2app if it isn't there."""
    from release.bundle.runtime import build_runtime

    spec = _runtime_spec(job)
    name = f"{spec.name}.app"

    def build(folder: Path) -> None:
        build_runtime(
            spec,
            folder / name,
            prefix=_prefix(job),
            site_packages=site_packages(job),
            runner=job.services.runner,
        )

    return job.services.cache.derived(f"runtime-{_runtime_key(job)}", build) / name


def _bundle_run(job: Job, advance: Advance) -> Facts:
    runtime = _runtime(job)
    count = sum(len(files) for _, _, files in os.walk(runtime))
    write_json(job.places.runtime_note, {"key": _runtime_key(job), "files": count})
    return {"note": f"Python {job.python}, {count} files"}


def _embed_needs(job: Job) -> Needs:
    app = job.config.app
    return Needs(
        files=[job.root / "app"],
        settings={
            "version": asdict(job.version),
            "feed": job.config.feed_url,
            "key": job.services.sparkle_public_key,
            "app": [app.minimum_system, app.category, app.copyright, app.arch],
        },
        code=["release/bundle", "release/assets/icon"],
        after=["inputs", "bundle"],
    )


def _embed_run(job: Job, advance: Advance) -> Facts:
    from release import inputs
    from release.bundle.bridge import build_bridge
    from release.bundle.embed import embed

    services, places = job.services, job.places
    bun = _bun(job, "host")
    packages = build_bridge(job.root / BRIDGE, _modules(job), bun, places.bridge, runner=services.runner)
    advance(1, 3)
    arch = job.config.app.arch
    buns = [_bun(job, target) for target in _slices(arch)]
    sparkle = inputs.sparkle(services.cache, services.pins, runner=services.runner)
    htmx = inputs.htmx(services.cache, services.pins, runner=services.runner)
    embed(
        _spec(job),
        _runtime(job),
        places.embedded,
        bun=buns,
        bridge_js=places.bridge,
        htmx=htmx,
        sparkle=sparkle,
    )
    note = f"{job.version.version} ({job.version.build}), {tree_size(places.embedded) / 1e6:.0f} MB"
    return {"bridge_packages": packages, "note": note}


def _audit_needs(job: Job) -> Needs:
    return Needs(code=["release/bundle/audit.py"], settings={"arch": job.config.app.arch}, after=["embed"])


def _audit_run(job: Job, advance: Advance) -> Facts:
    from release.bundle.audit import audit, require_clean

    findings = audit(job.places.embedded, arch=job.config.app.arch, python=job.python)
    write_json(job.places.audit, [asdict(finding) for finding in findings])
    require_clean(findings)
    return {"note": f"{len(findings)} remarks" if findings else "clean"}


STEPS: tuple[Step[Job], ...] = (
    Step("inputs", "Fetch and check the pinned inputs", _inputs_needs, paths("inputs_note"), _inputs_run),
    Step("bundle", "Build the runtime with py2app", _bundle_needs, paths("runtime_note"), _bundle_run),
    Step(
        "embed",
        "Embed app, bridge, Bun, htmx, Sparkle",
        _embed_needs,
        paths("embedded", "bridge"),
        _embed_run,
    ),
    Step("audit", "Audit the bundle", _audit_needs, paths("audit"), _audit_run),
)
