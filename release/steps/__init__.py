"""The steps of a release, in order: what each depends on, what it makes, whom it calls.

Nothing is worked out in here: a step hands plain values to the module that knows how, and returns the facts
that later steps need.
"""

from __future__ import annotations

from release.pipeline import Step
from release.steps import attest, build, public, sign
from release.steps.job import Job

STEPS: tuple[Step[Job], ...] = (
    *build.STEPS,
    attest.SBOM,
    *sign.STEPS,
    attest.PROVENANCE,
    *public.STEPS,
)
