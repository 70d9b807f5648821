import base64
import shlex
import stat

import pytest

from commands import Result
from errors import Exit, Fault
from signing import eddsa_keys as keys
from signing.eddsa_expanded import expand
from signing.secrets import mask
from tests.standins.commands import Recorder

SEED = base64.b64encode(bytes(range(32))).decode()
OLD = base64.b64encode(expand(bytes(range(32)))).decode()
PUBLIC = keys.public_key(keys.private_key(SEED))
SERVICE = "https://sparkle-project.org"
FIND = ("security", "find-generic-password", "-s", SERVICE, "-a", "ed25519")


class Keychain(Recorder):
    """`security` as far as keys need it: items by service and account, an interactive mode."""

    def __init__(self, *, broken: bool = False) -> None:
        super().__init__()
        self.items: dict[tuple[str, str], str] = {}
        self.broken = broken

    def respond(self, argv, stdin):
        if stdin is not None and not self.broken:
            for line in stdin.decode().splitlines():
                words = shlex.split(line)
                named = dict(zip(words[1::2], words[2::2], strict=True))
                self.items.setdefault((named["-s"], named["-a"]), named["-w"])
        if argv[1] != "find-generic-password":
            return None
        kept = self.items.get((argv[3], argv[5]))
        if kept is None:
            return Result(argv, 44, stderr=b"The specified item could not be found in the keychain.")
        return Result(argv, 0, stdout=kept.encode() + b"\n" if argv[-1] == "-w" else b"attributes")


def test_a_key_is_kept_where_sparkles_tools_look_and_never_in_argv():
    keychain = Keychain()
    public = keys.create("keychain:ed25519", runner=keychain)
    kept = keychain.items[SERVICE, "ed25519"]
    assert len(base64.b64decode(kept)) == 32
    assert keychain.calls == [FIND, ("security", "-i"), (*FIND, "-w")]
    assert not any(kept in word for call in keychain.calls for word in call)
    command = next(stdin for stdin in keychain.stdins if stdin)
    assert command.endswith(f"-w {kept}\n".encode()) and public.encode() in command
    assert b'"Private key for signing Sparkle updates"' in command
    assert keys.public_key(keys.load("keychain:ed25519", environ={}, runner=keychain)) == public
    assert kept not in mask(f"oops {kept}")


def test_the_keychain_is_never_overwritten():
    keychain = Keychain()
    keychain.items[SERVICE, "ed25519"] = "precious"
    with pytest.raises(keys.KeyFault, match="there is a key already"):
        keys.create("keychain:ed25519", runner=keychain)
    assert keychain.items == {(SERVICE, "ed25519"): "precious"} and keychain.calls == [FIND]


def test_a_keychain_that_does_not_answer_or_take_is_said():
    locked = Recorder(lambda argv: Result(argv, 36))
    with pytest.raises(keys.KeyFault, match="can't be asked"):
        keys.create("keychain:ed25519", runner=locked)
    with pytest.raises(keys.KeyFault, match="did not take"):
        keys.create("keychain:ed25519", runner=Keychain(broken=True))


@pytest.mark.parametrize("account", ["a b", "x\ny", 'q"', "-w$(id)", ""])
def test_names_that_could_be_read_as_more_are_refused(account):
    with pytest.raises(Fault):
        keys.create(f"keychain:{SERVICE}/{account}", runner=(keychain := Keychain()))
    assert not keychain.items


def test_another_service_and_account_can_be_named():
    keychain = Keychain()
    keys.create("keychain:my-app", runner=keychain)
    keys.create("keychain:release/sparkle", runner=keychain)
    assert set(keychain.items) == {(SERVICE, "my-app"), ("release", "sparkle")}


@pytest.mark.parametrize("uri", ["env:KEY", "file:", "keychain:", "nowhere"])
def test_a_key_needs_a_place_that_keeps(uri):
    with pytest.raises(keys.KeyFault, match="can't be kept there"):
        keys.create(uri)


@pytest.mark.parametrize("text", [SEED, OLD], ids=["seed", "expanded"])
def test_export_and_import_keep_the_form(tmp_path, text):
    path, again = tmp_path / "exported", tmp_path / "again"
    assert keys.export("env:K", path, environ={"K": text}) == PUBLIC
    assert path.read_text() == text + "\n" and stat.S_IMODE(path.stat().st_mode) == 0o600
    assert keys.import_key(f"file:{path}", f"file:{again}", environ={}) == PUBLIC
    assert again.read_text() == path.read_text() and stat.S_IMODE(again.stat().st_mode) == 0o600
    keychain = Keychain()
    assert keys.import_key(f"file:{path}", "keychain:ed25519", environ={}, runner=keychain) == PUBLIC
    assert keychain.items[SERVICE, "ed25519"] == text


def test_export_and_import_never_overwrite(tmp_path):
    path = tmp_path / "key"
    path.write_text("precious")
    with pytest.raises(keys.KeyFault, match="already") as caught:
        keys.export("env:K", path, environ={"K": SEED})
    assert caught.value.status == Exit.SECRET
    with pytest.raises(keys.KeyFault, match="already"):
        keys.import_key("env:K", f"file:{path}", environ={"K": SEED})
    assert path.read_text() == "precious"


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("!", "not base64"),
        (SEED[:-4], "this one"),
        (base64.b64encode(b"s" * 96).decode(), "damaged"),
        (base64.b64encode(expand(bytes(32))[:95] + b"\0").decode(), "damaged: its public half"),
    ],
)
def test_what_is_not_a_key_is_not_imported(tmp_path, text, says):
    target = tmp_path / "key"
    with pytest.raises(keys.KeyFault, match=says) as caught:
        keys.import_key("env:K", f"file:{target}", environ={"K": text})
    assert not target.exists() and text not in str(caught.value)


def test_a_key_that_others_can_read_is_not_imported(tmp_path):
    source = tmp_path / "source"
    source.write_text(SEED)
    source.chmod(0o644)
    with pytest.raises(Fault, match="others may read"):
        keys.import_key(f"file:{source}", f"file:{tmp_path / 'key'}", environ={})
