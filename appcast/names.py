"""The names that Sparkle gives to elements and attributes, and the fields of the model that hold them."""

from __future__ import annotations

NAMESPACE = "http://www.andymatuschak.org/xml-namespaces/sparkle"
SPARKLE = f"{{{NAMESPACE}}}"
LANGUAGE = "{http://www.w3.org/XML/1998/namespace}lang"

CHANNEL_TEXTS = ("title", "link", "description", "language")

ITEM_TEXTS = {
    "title": "title",
    "link": "link",
    f"{SPARKLE}channel": "channel",
    f"{SPARKLE}version": "version",
    f"{SPARKLE}shortVersionString": "short_version",
    f"{SPARKLE}minimumSystemVersion": "minimum_system_version",
    f"{SPARKLE}maximumSystemVersion": "maximum_system_version",
    f"{SPARKLE}minimumUpdateVersion": "minimum_update_version",
    f"{SPARKLE}minimumAutoupdateVersion": "minimum_autoupdate_version",
    f"{SPARKLE}ignoreSkippedUpgradesBelowVersion": "ignore_skipped_upgrades_below_version",
}
"""Elements of an item that are plain text, in the order in which they are written."""

NOTES_LINKS = {
    f"{SPARKLE}releaseNotesLink": "release_notes",
    f"{SPARKLE}fullReleaseNotesLink": "full_release_notes",
}

ENCLOSURE_TEXTS = {
    "type": "type",
    f"{SPARKLE}edSignature": "signature",
    f"{SPARKLE}dsaSignature": "dsa_signature",
    f"{SPARKLE}os": "os",
    f"{SPARKLE}installationType": "installation_type",
}
"""Attributes of an enclosure that are plain text."""

DELTA_FROM = f"{SPARKLE}deltaFrom"
DELTA_SIZE = f"{SPARKLE}deltaFromSparkleExecutableSize"
DELTA_LOCALES = f"{SPARKLE}deltaFromSparkleLocales"
