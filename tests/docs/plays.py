"""How each documented command is tried: run as it stands, run otherwise (PLAYS), or not run here (ELSEWHERE).

What is in neither table runs as it stands, production replaced by the rehearsal, and must end with status 0.
"""

from __future__ import annotations

from dataclasses import dataclass

FEED = "dist/current/appcast.xml"
STAND_IN = "profiles.rehearsal.notary.stand_in"
LOAD = "./invoke secrets --profile production --load ~/release-secrets --github"
WRANGLER = "tests/release/test_public_site.py::test_the_commands"
IN_PHASES = "nothing is rolled out in phases"
WAITS = "./invoke release --force notarize --no-wait"
EXAMPLE = "tests/release/test_appcast_tools.py::test_the_docs_show_what_is_really_printed"


@dataclass(frozen=True, slots=True)
class Play:
    """A command as it is run: other words for what stands for something, the status, what it must say."""

    words: str = ""
    status: int = 0
    says: str = ""
    stdin: str = ""
    until: str = ""  # of a server: what it says once it serves; it is interrupted then
    before: str = ""  # what is run first to get there, however it ends
    cloned: bool = False  # in a clean clone that has a remote and a key to sign tags with


@dataclass(frozen=True, slots=True)
class Elsewhere:
    """Why a command is not run here, and what stands in for it: a test, or the options its manual has."""

    why: str
    test: str = ""  # path::name
    options: str = ""


PLAYS = {
    # the app
    "./invoke serve": Play("./invoke serve --port {port}", until="on http://127.0.0.1:"),
    "python -m app serve": Play("python -m app serve --port {port}", until="on http://127.0.0.1:"),
    ".venv/bin/python -m app open": Play(status=1, says="does not run"),
    "python -m app key set": Play("python -m app key set --no-check", says="kept", stdin="key_for_docs\n"),
    "./invoke bridge": Play(until="bridge: http://127.0.0.1:"),
    "python -m app bridge": Play(before="./invoke bridge.build", until="bridge: http://127.0.0.1:"),
    "python -m app agents show NAME": Play("python -m app agents show opencode", says="opencode"),
    "python -m app agents install NAME… [--dry-run]": Play("python -m app agents install opencode"),
    "python -m app agents remove NAME… [--dry-run]": Play("python -m app agents remove opencode"),
    "python -m app agents undo NAME [--force]": Play("python -m app agents undo opencode"),
    # the feed and its keys
    "./invoke appcast.lint FEED": Play(f"./invoke appcast.lint {FEED}"),
    "./invoke appcast.select": Play("./invoke appcast.select --version {first} --system 14.5"),
    "./invoke keys.generate --to keychain:ed25519": Play("./invoke keys.generate --to file:other.key"),
    "./invoke keys.export PATH": Play("./invoke keys.export copy.key"),
    "./invoke keys.import PATH --to keychain:ed25519": Play(
        "./invoke keys.import copy.key --to file:third.key"
    ),
    "./invoke keys.rotate --new-key URI": Play("./invoke keys.rotate --new-key file:other.key"),
    # the public side
    "./invoke yank VERSION": Play("./invoke yank {first} --dry-run", says="dry run"),
    "./invoke rollback": Play("./invoke rollback --dry-run", says="dry run"),
    "./invoke prune --keep N": Play("./invoke prune --keep 2"),
    "./invoke rollout": Play(status=2, says="--pause"),
    "./invoke verify [--url SITE]": Play("./invoke verify", says="checks passed"),
    "./invoke verify --url https://… --key PUBLIC": Play("./invoke verify", says="checks passed"),
    "./invoke worker.serve": Play("./invoke worker.serve --port {port}", until="127.0.0.1:"),
    "./invoke worker.serve --releases FOLDER": Play(
        "./invoke worker.serve --port {port} --releases docs", until="127.0.0.1:"
    ),
    "./invoke worker.serve --rehearsal": Play(
        "./invoke worker.serve --port {port} --rehearsal", until="127.0.0.1:"
    ),
    # releasing
    f"./invoke release --force notarize --set {STAND_IN}=verdict=Invalid": Play(status=60),
    "./invoke notarize.status --profile production": Play(before=WAITS),
    "./invoke notarize.resume --profile production --from pending": Play(
        "./invoke notarize.resume --from dist/current/pending", before=WAITS
    ),
    "./invoke notarize.resume --profile production --resubmit": Play(before=WAITS),
    "./invoke notarize.resume": Play(before=WAITS),
    "./invoke notarize.resume --resubmit": Play(before=WAITS),
    "./invoke notarize.resume --profile production": Play("./invoke notarize.resume", before=WAITS),
    # before a release
    "./invoke bump": Play(cloned=True, says="1.2.0"),
    'git commit -m "Release 1.2.0" -- CHANGELOG.md': Play(cloned=True),
    "./invoke tag": Play(cloned=True, says="git push --atomic origin main v1.2.0"),
    "git push --atomic origin main v1.2.0": Play(cloned=True),
    "git switch --detach v1.2.0": Play(cloned=True),
    "./invoke secrets --profile production": Play(
        "./invoke secrets --profile production", says="SPARKLE_PRIVATE_KEY"
    ),
    LOAD: Play(LOAD, says="SPARKLE_PRIVATE_KEY"),
    f"{LOAD} --dry-run": Play(f"{LOAD} --dry-run", says="SPARKLE_PRIVATE_KEY"),
    "./invoke keys.generate --to file:../new.key": Play(),
    "./invoke keys.rotate --profile production --certificate ../certificate.pem": Play(
        "./invoke keys.rotate --certificate dist/current/certificate.pem"
    ),
    # the releases made until here are for everybody at once
    "./invoke rollout --pause --profile production": Play("./invoke rollout --pause", 2, IN_PHASES),
    "./invoke rollout --resume --profile production": Play("./invoke rollout --resume", 2, IN_PHASES),
    "./invoke rollout --complete --profile production": Play("./invoke rollout --complete", 2, IN_PHASES),
    # rolled back to the first release, there is nothing else to offer
    "./invoke yank 45 --dry-run --profile production": Play("./invoke yank {first} --force --dry-run"),
    "./invoke yank 45 --profile production": Play("./invoke yank {first}", 80, "--force"),
}

ELSEWHERE = {
    "./invoke test": Elsewhere("it is what runs this"),
    "./invoke lint": Elsewhere("it is run before the tests: .ci/run"),
    "./invoke bench": Elsewhere("it takes minutes, and is no test"),
    "./invoke pictures": Elsewhere("needs Chromium, and changes the repository"),
    "pre-commit": Elsewhere(
        "a tool of the contributor's own",
        test="tests/docs/test_repository.py::test_the_hooks_are_the_parts_of_lint_and_fetch_nothing",
    ),
    ".venv/bin/python -m pytest": Elsewhere("it is what runs this"),
    "./invoke appcast.show --target appcast.xml": Elsewhere("the page's own example", test=EXAMPLE),
    "./invoke appcast.select --target appcast.xml": Elsewhere("the page's own example", test=EXAMPLE),
    "./invoke appcast.lint broken.xml": Elsewhere("the page's own example", test=EXAMPLE),
    "./invoke worker.dev": Elsewhere("Cloudflare's runtime is fetched when it starts"),
    "./invoke worker.deploy": Elsewhere("npm and wrangler", test=WRANGLER),
    "./invoke worker.migrate": Elsewhere("npm and wrangler", test=WRANGLER),
    "npx wrangler d1 create": Elsewhere("Cloudflare's account"),
    "npx wrangler secret put": Elsewhere("Cloudflare's account", options="--name"),
    "gh secret list": Elsewhere("GitHub's account", options="--env"),
    "gh run watch": Elsewhere("GitHub's account"),
    "gh run download": Elsewhere("GitHub's account", options="--name --dir"),
    "spctl": Elsewhere("only a Mac has it", options="--assess --type --context --verbose"),
    "codesign": Elsewhere("only a Mac has it", options="--verify --deep --strict --verbose"),
    "xcrun stapler validate": Elsewhere(
        "only a Mac has it", test="tests/signing/test_stapler.py::test_the_copy_is_stapled_under_its_own_name"
    ),
    '"/Applications/API for Cursor.app/Contents/MacOS/API for Cursor"': Elsewhere("only a Mac runs it"),
}

# Scripts (```sh) are run whole, by tests of their own.
SCRIPTS = {
    "docs/production.md": "tests/docs/test_production.py::test_the_set_up_makes_all_secrets",
    "docs/app.md": "tests/app/test_examples.py::test_an_example",
    "docs/verify.md": "tests/release/test_provenance.py::test_the_commands_in_the_documentation_work",
}
