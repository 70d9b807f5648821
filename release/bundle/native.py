"""Run py2app on a Mac: `python -m release.bundle.native JOB.json`.

The interpreter that runs this is the one that is packed, so it has to be a framework build, such as
python.org's; one from elsewhere is refused.
"""

from __future__ import annotations

import sys
import sysconfig
from pathlib import Path

from release.bundle import child
from release.bundle.compile import require_python
from release.bundle.job import Job
from release.bundle.spec import BundleFault


def prepare(job: Job) -> None:
    """Check the interpreter, and put the packages to be packed before its own."""
    require_python(job.python)
    if sysconfig.get_config_var("PYTHONFRAMEWORK") != "Python":
        raise BundleFault(
            "This Python is not a framework build, and can't be packed",
            where=sys.base_prefix,
            cure="make .venv with the Python from python.org",
        )
    library = sysconfig.get_path("stdlib")
    sys.path.insert(0, job.site_packages)
    child.name_code_by_module([library, f"{library}/lib-dynload", job.site_packages, job.work])


if __name__ == "__main__":
    child.run(Path(sys.argv[1]), child.Build, prepare)
