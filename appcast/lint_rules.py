"""What `appcast.lint` looks for, as data: one row a rule. docs/appcast.md shows the same table.

An error is something that breaks an update for somebody, a warning something that will one day, a note
something that people should know of. `what` is completed by a detail of the item at hand.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Severity = Literal["error", "warning", "note"]


@dataclass(frozen=True, slots=True)
class Rule:
    """One thing to look for."""

    id: str
    severity: Severity
    what: str
    cure: str


_FATAL = "and Sparkle refuses the whole feed for it"

_TABLE: tuple[tuple[str, Severity, str, str], ...] = (
    # the document
    ("too-big", "error", "the feed is too big to be read", "drop old items: 64 MiB is the limit"),
    ("not-xml", "error", "the feed is not well-formed XML", "repair the markup at this line"),
    ("doctype", "error", "the feed has a document type", "remove <!DOCTYPE …>: no feed needs one"),
    ("not-rss", "error", "the feed is not <rss> with a <channel>", "put the items into /rss/channel"),
    ("item-misplaced", "error", "the item is not at /rss/channel/item, where Sparkle looks", "move it there"),
    ("no-items", "warning", "the feed has no item", "add one, or don't publish the feed yet"),
    (
        "namespace",
        "error",
        "this is almost Sparkle's namespace, and Sparkle takes none of its elements",
        'write xmlns:sparkle="http://www.andymatuschak.org/xml-namespaces/sparkle", to the letter',
    ),
    (
        "unqualified",
        "error",
        "Sparkle's name stands without its prefix and is not read",
        "write sparkle: before it",
    ),
    (
        "prefix",
        "error",
        "Sparkle knows this element under the prefix sparkle: only, whatever the namespace",
        "declare the namespace as xmlns:sparkle and write sparkle: before it",
    ),
    ("typo", "error", "Sparkle does not know this name and ignores it", "write it as suggested"),
    (
        "unknown",
        "warning",
        "Sparkle does not know this name and ignores it",
        "remove it, or look up its name",
    ),
    ("repeated", "warning", "the element stands twice in one item; one of them is not read", "keep one"),
    # signatures
    (
        "feed-unsigned",
        "error",
        "the app requires a signed feed and this one is not",
        "sign it: ./invoke release does, sign_update too",
    ),
    (
        "feed-signature",
        "error",
        "the feed's signature does not hold",
        "sign the feed again, with the key of the app's SUPublicEDKey, and don't touch it afterwards",
    ),
    (
        "signature-missing",
        "error",
        "the archive has no EdDSA signature, and apps with a key refuse it",
        "sign it and write sparkle:edSignature",
    ),
    (
        "signature-malformed",
        "error",
        "the signature is not 64 bytes in base64",
        "copy all 88 characters of it, or sign again",
    ),
    (
        "signature-dsa",
        "warning",
        "the archive carries a DSA signature, long obsolete",
        "remove sparkle:dsaSignature",
    ),
    (
        "notes-unsigned",
        "error",
        "the feed is signed and the notes it links to are not, so they are not shown",
        "sign the file and write sparkle:edSignature and sparkle:length on the link",
    ),
    # an item's version
    ("no-version", "error", f"the item has no sparkle:version, {_FATAL}", "write the app's CFBundleVersion"),
    (
        "version-from-file",
        "warning",
        "the item has no sparkle:version; Sparkle guesses it from the file's name",
        "write the app's CFBundleVersion into <sparkle:version>",
    ),
    (
        "version-conflict",
        "error",
        "element and enclosure name different versions; the enclosure's wins",
        "keep the element only",
    ),
    (
        "version-unsafe",
        "error",
        "the version is not plain dotted numbers, and Sparkle orders it by surprise",
        "use one to four numbers with dots between, such as 1.4.2 or 142",
    ),
    (
        "version-duplicate",
        "error",
        "another item for the same Macs has the same version for Sparkle; the later one is never offered",
        "remove one, or give it a higher version",
    ),
    (
        "version-falls",
        "warning",
        "an older item for the same Macs has a higher version, so this one is offered to nobody",
        "give it a higher version",
    ),
    ("order", "note", "the item stands below an older one", "put the newest first: people read it that way"),
    ("short-version", "note", "there is no sparkle:shortVersionString; people are shown the build", "add it"),
    # dates and phases
    ("date-missing", "warning", "the item has no pubDate", "add it: Sun, 31 Dec 2026 12:00:00 +0000"),
    (
        "date-bad",
        "error",
        "Sparkle cannot read the pubDate and takes the item as undated",
        "write it so: Sun, 31 Dec 2026 12:00:00 +0000",
    ),
    (
        "date-future",
        "warning",
        "the item is dated in the future",
        "Sparkle offers it at once; correct the date",
    ),
    (
        "phased-undated",
        "error",
        "a phased rollout without a pubDate is none: all get it at once",
        "add a pubDate",
    ),
    ("phased-interval", "error", "the rollout's interval is not a number of seconds", "write seconds: 86400"),
    # where and what to download
    (
        "nothing-to-offer",
        "error",
        f"the item has neither enclosure nor web link, {_FATAL}",
        "add one of them",
    ),
    ("enclosure-url", "error", f"the enclosure's address is not http(s), {_FATAL}", "write an https address"),
    (
        "insecure-url",
        "error",
        "the address is plain http, which macOS does not let an app load",
        "serve it over https",
    ),
    ("insecure-link", "warning", "the page is linked over plain http", "link to https"),
    ("relative-url", "warning", "the address is relative and moves with the feed", "write the whole address"),
    (
        "url-shared",
        "error",
        "another version has the same address: one of them gets the other's file",
        "name files by version",
    ),
    (
        "length-missing",
        "error",
        "the archive's length is missing, zero or no number",
        'write length="…", the file\'s size in bytes',
    ),
    (
        "length-qualified",
        "error",
        "sparkle:length is for release notes; on an archive it is not read",
        "write length without a prefix",
    ),
    (
        "type",
        "warning",
        "the enclosure's type is missing or not an archive's",
        "write application/octet-stream or better",
    ),
    (
        "archive-format",
        "warning",
        "Sparkle cannot unpack files of this name",
        "ship a .dmg, .zip, .tar.xz, .aar or .pkg",
    ),
    ("os", "warning", "the item is for another system, and no Mac is offered it", "remove sparkle:os"),
    (
        "installation-type",
        "error",
        f"sparkle:installationType is neither application nor package, {_FATAL}",
        "remove it for an app, write package for a .pkg",
    ),
    # which Macs
    (
        "system-missing",
        "warning",
        "there is no sparkle:minimumSystemVersion",
        "write the app's LSMinimumSystemVersion",
    ),
    (
        "system-parts",
        "warning",
        "the system's version does not have three parts",
        "write 13.0.0, not 13 or 13.0",
    ),
    ("system-malformed", "error", "the system's version is not dotted numbers", "write it as 13.0.0"),
    ("system-range", "error", "no system lies between minimum and maximum", "swap or correct them"),
    (
        "system-app",
        "error",
        "the app needs a newer macOS than the item says, and won't open after the update",
        "write the app's LSMinimumSystemVersion",
    ),
    (
        "hardware-attribute",
        "error",
        "as an attribute hardwareRequirements is ignored, and every Mac is offered the item",
        "write a child of <item>: <sparkle:hardwareRequirements>arm64</sparkle:hardwareRequirements>",
    ),
    (
        "attribute-ignored",
        "error",
        "Sparkle reads this name from a child of <item> only, not from an attribute",
        "write it as an element of the item",
    ),
    (
        "hardware-unknown",
        "error",
        "Sparkle ignores this hardware's name, and every Mac is offered the item",
        "write arm64, or leave it out",
    ),
    (
        "hardware-app",
        "error",
        "the app has no Intel code, and Intel Macs are offered it",
        "write <sparkle:hardwareRequirements>arm64</sparkle:hardwareRequirements>",
    ),
    # whom
    (
        "channel-invalid",
        "error",
        "the channel's name is not one, so the item goes to everybody",
        "use letters, digits, _ . - only",
    ),
    ("limit-unsafe", "error", "the limit is not plain dotted numbers", "write a CFBundleVersion"),
    (
        "update-range",
        "error",
        "only versions that need no update may have this one",
        "lower minimumUpdateVersion",
    ),
    (
        "critical-legacy",
        "note",
        "critical stands in sparkle:tags, its old place",
        "write <sparkle:criticalUpdate/>",
    ),
    (
        "informational-link",
        "error",
        "there is no web link, so this is not an announcement: Sparkle installs it",
        "add <link> to the page people should read",
    ),
    # notes
    (
        "notes-missing",
        "note",
        "there are no release notes",
        "add <description> or <sparkle:releaseNotesLink>",
    ),
    (
        "notes-format",
        "error",
        "Sparkle does not know this format and shows HTML",
        "write html, plain-text or markdown",
    ),
    ("notes-url", "error", "the notes' address is not http(s) and not followed", "write an https address"),
    (
        "notes-languages",
        "warning",
        "of several links to notes more than one names no language",
        "add xml:lang to all but one",
    ),
    ("notes-length", "warning", "the signed notes' length is missing", "write sparkle:length on the link"),
    # deltas
    (
        "delta-from",
        "error",
        "the delta does not say from which version, and is not read",
        "add sparkle:deltaFrom",
    ),
    (
        "delta-unknown",
        "note",
        "the delta starts from a version that the feed does not have",
        "keep it while people have that version",
    ),
    ("delta-not-older", "error", "the delta does not start from an older version", "remove it"),
    ("delta-duplicate", "error", "two deltas start from the same version; one is not used", "remove one"),
    (
        "delta-top-level",
        "error",
        "a delta outside of <sparkle:deltas> is offered to nobody",
        "put it into <sparkle:deltas>",
    ),
    # against the app and what is public
    ("newer-than-app", "note", "the feed has a newer version than the app", "check that you meant this app"),
    (
        "published-changed",
        "error",
        "what is public under this version has other bytes",
        "give the new file a new version",
    ),
    (
        "published-falls",
        "error",
        "the newest version is below what is public: nobody is offered anything",
        "raise the version",
    ),
    (
        "published-dropped",
        "note",
        "the published feed has this version, this one does not",
        "keep it while somebody needs it",
    ),
)

RULES: dict[str, Rule] = {row[0]: Rule(*row) for row in _TABLE}
"""All rules of the feed itself, by id."""

_DOWNLOADS: tuple[tuple[str, Severity, str, str], ...] = (
    ("download-failed", "error", "the file cannot be downloaded", "publish it before the feed"),
    (
        "download-length",
        "error",
        "the file has another length than the feed says",
        "write the feed from the published file",
    ),
    (
        "download-signature",
        "error",
        "the EdDSA signature does not fit file and app's key",
        "sign the file that is published, after stapling",
    ),
    (
        "download-image",
        "error",
        "the disk image is damaged",
        "build it again and publish it under a new version",
    ),
    (
        "download-codesign",
        "error",
        "the code signature does not hold",
        "sign again and publish under a new version",
    ),
    (
        "download-version",
        "error",
        "the app inside has another version than the item",
        "write the item from the app's own Info.plist",
    ),
    (
        "download-key",
        "error",
        "the app inside has no usable SUPublicEDKey",
        "build the app with the key that signs its updates",
    ),
    ("download-skipped", "warning", "the file was not looked into", "only disk images are opened"),
)

DOWNLOAD_RULES: dict[str, Rule] = {row[0]: Rule(*row) for row in _DOWNLOADS}
"""What can be wrong with the files that a feed points to; `./invoke appcast.lint --download` looks."""
