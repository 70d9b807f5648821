"""What signed code may do under the hardened runtime, as data."""

from __future__ import annotations

import plistlib
from collections.abc import Mapping
from types import MappingProxyType

Entitlements = Mapping[str, object]

NONE: Entitlements = MappingProxyType({})
"""What all but a JavaScript runtime gets, the app with its Python among it.

PyObjC and ctypes make callbacks from C to Python with the system's libffi, which has signed code pages for
them: nothing is written and then run (a test holds the packed modules to it). Library validation stays on,
since one team signs all that is in the app.
"""

JIT: Entitlements = MappingProxyType(
    dict.fromkeys(
        (
            "com.apple.security.cs.allow-jit",
            "com.apple.security.cs.allow-unsigned-executable-memory",
            "com.apple.security.cs.disable-executable-page-protection",
            "com.apple.security.cs.allow-dyld-environment-variables",
            "com.apple.security.cs.disable-library-validation",
        ),
        True,
    )
)
"""What a JavaScript runtime with a JIT compiler needs, and nothing else in an app may have.

The set is the one Bun's own builds are signed with. Without it macOS ends the process at its first compiled
function, which no notary notices.
"""


def to_plist(entitlements: Entitlements) -> bytes:
    """Serialize for codesign's --entitlements: an XML property list with sorted keys."""
    return plistlib.dumps(dict(entitlements), sort_keys=True)
