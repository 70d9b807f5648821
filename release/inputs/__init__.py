"""Third-party inputs: pinned by version and digest, kept in the user's cache, checked before use."""

from release.inputs.bridge import bridge_modules as bridge_modules
from release.inputs.bun import bun as bun
from release.inputs.cache import Cache as Cache
from release.inputs.htmx import htmx as htmx
from release.inputs.packages import site_packages as site_packages
from release.inputs.pins import Pin as Pin
from release.inputs.pins import Pins as Pins
from release.inputs.pins import parse as parse
from release.inputs.pins import require_pinned as require_pinned
from release.inputs.prefix import python_facts as python_facts
from release.inputs.prefix import python_prefix as python_prefix
from release.inputs.sparkle import sparkle as sparkle
from release.inputs.vendor import verify_vendor as verify_vendor
