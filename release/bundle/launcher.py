"""What the bundle starts: the app, as `python -m app` would.

Copied into the bundle as it is. Started from the Finder there is nothing on the command line, and it is the
Mac app; that starts this executable again, with a command line, as the server. So does a user in a terminal.
"""

import runpy
import sys

if len(sys.argv) < 2 or sys.argv[1].startswith("-psn_"):  # older systems pass a process serial number
    sys.argv[1:] = ["desktop"]
runpy.run_module("app", run_name="__main__", alter_sys=True)
