"""Previews, undo, backups and what statuses say."""

import json
import time
from pathlib import Path

import pytest

from app.agents.backups import KEPT, Backups
from app.agents.disk import Change
from app.agents.service import Service
from app.errors import AppError
from tests.app.agents.conftest import URL, Write, files_of, on

CONFIG = ".config/opencode/opencode.json"


def test_a_preview_is_the_exact_change_and_changes_nothing(home: Path, setup: Service, write: Write) -> None:
    path = write(CONFIG, '{\n  "model": "x/y", // mine\n  "provider": {}\n}\n')
    preview = setup.preview("opencode", "install")
    (file,) = preview.files
    assert file.path == path
    removed = [line for line in file.diff.splitlines()[2:] if line.startswith("-")]
    assert removed == ['-  "provider": {}']
    assert files_of(home) == {CONFIG: path.read_bytes()}
    assert setup.apply("opencode", "install", preview.token).files == (path,)


def test_a_file_changed_after_the_preview_is_not_written(setup: Service, write: Write) -> None:
    path = write(CONFIG, "{}")
    token = setup.preview("opencode", "install").token
    path.write_text('{"theme": "dark"}')
    with pytest.raises(AppError, match="changed between preview and install: look at the new preview"):
        setup.apply("opencode", "install", token)
    assert path.read_text() == '{"theme": "dark"}'


def test_a_preview_of_one_action_does_not_allow_another(setup: Service, write: Write) -> None:
    write(CONFIG, "{}")
    with pytest.raises(AppError, match="changed between"):
        setup.apply("opencode", "remove", setup.preview("opencode", "install").token)


def test_undo_refuses_what_was_changed_since_unless_forced(setup: Service, write: Write) -> None:
    path = write(CONFIG, "{}")
    setup.install("opencode")
    path.write_text(path.read_text() + "// mine\n")
    mine = path.read_text()
    with pytest.raises(AppError, match="was changed since: undo with --force"):
        setup.undo("opencode")
    setup.undo("opencode", force=True)
    assert path.read_text() == "{}"
    setup.undo("opencode")
    assert path.read_text() == mine


def test_undo_without_a_change_says_so(setup: Service) -> None:
    with pytest.raises(AppError, match="there is nothing to undo for OpenCode"):
        setup.undo("opencode")


def test_undo_of_the_first_installation_leaves_no_file_and_no_folder(home: Path, setup: Service) -> None:
    setup.install("codex")
    setup.undo("codex")
    assert list(home.iterdir()) == []
    assert setup.view("codex").state == "not found"


def test_a_change_that_was_only_prepared_cannot_be_undone(home: Path, setup: Service, write: Write) -> None:
    path = write(CONFIG, "{}")
    backups = Backups(home.parent / "data" / "backups" / "opencode")
    backups.prepare("install", [Change(path, b"{}", b"{ }")], installed=True, now=1.0)
    assert "undo" not in setup.view("opencode").actions
    path.write_text("{ }")  # killed after the change, before saying so
    assert "undo" in setup.view("opencode").actions
    setup.undo("opencode")
    assert path.read_text() == "{}"


def test_backups_are_dated_private_bounded_and_keep_the_first(
    home: Path, setup: Service, write: Write
) -> None:
    path = write(CONFIG, '{"mine": true}')
    for port in range(KEPT + 5):
        on(home, url=f"http://127.0.0.1:{9000 + port}/v1").install("opencode")
    folder = home.parent / "data" / "backups" / "opencode"
    names = sorted(file.name for file in folder.iterdir())
    assert len(names) == KEPT + 1
    assert names[0].startswith(time.strftime("%Y%m%dT%H%M%SZ", time.gmtime(1_800_000_000)))
    assert {file.stat().st_mode & 0o777 for file in folder.iterdir()} == {0o600}
    setup.remove("opencode")
    assert json.loads(path.read_text()) == {"mine": True}


def test_a_broken_index_is_told_and_the_copies_stay(home: Path, setup: Service, write: Write) -> None:
    write(CONFIG, "{}")
    setup.install("opencode")
    folder = home.parent / "data" / "backups" / "opencode"
    (folder / "index.json").write_text("no")
    with pytest.raises(AppError, match=r"index\.json cannot be read: move it away"):
        setup.undo("opencode")
    assert len(list(folder.iterdir())) == 2
    assert setup.view("opencode").state == "installed"


def test_a_damaged_backup_is_not_put_back(home: Path, setup: Service, write: Write) -> None:
    path = write(CONFIG, "{}")
    setup.install("opencode")
    (copy,) = (home.parent / "data" / "backups" / "opencode").glob("*-opencode.json")
    copy.write_text("other")
    installed = path.read_text()
    with pytest.raises(AppError, match=r"the backup .* is damaged"):
        setup.undo("opencode")
    assert path.read_text() == installed


def test_removal_does_without_a_damaged_backup(home: Path, setup: Service, write: Write) -> None:
    path = write(CONFIG, '{"model": "mine/model"}')
    setup.install("opencode")
    (copy,) = (home.parent / "data" / "backups" / "opencode").glob("*-opencode.json")
    copy.unlink()
    setup.remove("opencode")
    assert json.loads(path.read_text()) == {"model": "mine/model"}


def test_a_private_file_stays_private_through_removal_and_undo(home: Path, setup: Service) -> None:
    setup.install("cline")
    path = home / ".cline/data/settings/providers.json"
    assert path.stat().st_mode & 0o777 == 0o600
    setup.remove("cline")
    assert not path.exists()
    setup.undo("cline")
    assert path.stat().st_mode & 0o777 == 0o600


def test_removal_takes_out_what_was_there_before_installation_already(home: Path, setup: Service) -> None:
    setup.install("codex")
    profile = (home / ".codex/cursorapi.config.toml").read_bytes()
    setup.remove("codex")
    (home / ".codex").mkdir()
    (home / ".codex/cursorapi.config.toml").write_bytes(profile)
    setup.install("codex")
    setup.remove("codex")
    assert setup.view("codex").state == "install"
    assert b"".join(files_of(home).values()) == b""


def test_a_clock_that_jumps_back_mixes_nothing_up(home: Path, write: Write) -> None:
    path = write(CONFIG, "{}")
    times = iter([2_000_000_000.0, 1.0, 1.0, 1.0])
    setup = Service(on(home).home, on(home).target, clock=lambda: next(times))
    setup.install("opencode")
    setup.remove("opencode")
    setup.install("opencode")
    setup.undo("opencode")
    assert path.read_text() == "{}"


def test_the_older_providers_go_and_their_model_with_them(setup: Service, write: Write) -> None:
    path = write(CONFIG, '{"model": "cursor/composer", "provider": {"cursor": {"a": 1}, "cursorsdk": {}}}')
    view = setup.view("opencode")
    assert (view.state, view.actions[0]) == ("needs update", "update")
    setup.install("opencode")
    config = json.loads(path.read_text())
    assert list(config["provider"]) == ["cursorapi"]
    assert config["model"] == "cursorapi/composer-2.5-fast"
    path.write_text(path.read_text() + "\n// mine\n")
    setup.remove("opencode")
    assert "model" not in path.read_text()  # of a provider that is gone


def test_what_people_add_to_our_entry_survives_an_update(home: Path, write: Write) -> None:
    on(home, url="http://127.0.0.1:9000/v1").install("opencode")
    path = home / CONFIG
    config = json.loads(path.read_text())
    config["provider"]["cursorapi"]["options"]["timeout"] = 60
    config["model"] = "mine/model"
    path.write_text(json.dumps(config))
    on(home).install("opencode")
    config = json.loads(path.read_text())
    assert config["provider"]["cursorapi"]["options"]["timeout"] == 60
    assert config["provider"]["cursorapi"]["options"]["baseURL"] == URL
    assert config["model"] == "mine/model"


def test_an_entry_of_before_the_installation_does_not_come_back(setup: Service, write: Write) -> None:
    path = write(
        CONFIG, '{"provider": {"cursorapi": {"options": {"baseURL": "https://x.example/v1"}}}, "a": 1}'
    )
    assert setup.view("opencode").state == "hosted"
    setup.install("opencode")
    setup.remove("opencode")
    assert json.loads(path.read_text()) == {"a": 1}


def test_someone_elses_local_server_is_not_ours(setup: Service, write: Write) -> None:
    path = write(".aider.conf.yml", "openai-api-base: http://localhost:1234/v1\nmodel: openai/llama\n")
    assert setup.view("aider").state == "install"
    setup.install("aider")
    path.write_text(path.read_text() + "dark-mode: true\n")
    setup.remove("aider")
    assert (
        path.read_text()
        == "openai-api-base: http://localhost:1234/v1\nmodel: openai/llama\ndark-mode: true\n"
    )


def test_continue_is_not_cut_off_from_its_older_file(setup: Service, write: Write) -> None:
    write(".continue/config.json", "{}")
    view = setup.view("continue")
    assert view.state == "unreadable"
    assert "let Continue convert it first" in view.sentence


def test_an_agent_is_found_by_its_program_its_folder_or_its_extension(home: Path, write: Write) -> None:
    program = write("bin/pi", "#!/bin/sh\n")
    program.chmod(0o755)
    assert on(home, PATH=str(program.parent)).view("pi").sentence.startswith(f"Found ({program})")
    write(".vscode/extensions/saoudrizwan.claude-dev-3.1.0/package.json", "{}")
    assert "saoudrizwan.claude-dev-3.1.0" in on(home).view("cline").sentence
    app = home / "Applications" / "Visual Studio Code.app"
    app.mkdir(parents=True)
    assert on(home, "darwin").view("vscode").sentence == f"Found ({app}), not set up yet."
    assert on(home).view("vscode").state == "not found"


def test_a_program_in_the_working_folder_is_not_the_agent(
    home: Path, write: Write, monkeypatch: pytest.MonkeyPatch
) -> None:
    write("work/pi", "#!/bin/sh\n").chmod(0o755)
    monkeypatch.chdir(home / "work")
    assert on(home, PATH=f":{home}/nowhere").view("pi").state == "not found"


def test_variables_move_an_agents_files(home: Path) -> None:
    setup = on(home, CODEX_HOME=str(home / "cx"), XDG_CONFIG_HOME=str(home / "xdg"))
    assert setup.view("codex").files[0] == home / "cx" / "config.toml"
    assert setup.view("opencode").files == (home / "xdg" / "opencode" / "opencode.json",)
    assert setup.view("kilo").files == (home / "xdg" / "kilo" / "kilo.jsonc",)
    custom = on(home, OPENCODE_CONFIG=str(home / "oc.json"))
    assert custom.view("opencode").files == (home / "oc.json",)


def test_an_unknown_agent_is_told_the_known_ones(setup: Service) -> None:
    with pytest.raises(AppError, match="no agent 'emacs': known are opencode, codex, ") as caught:
        setup.view("emacs")
    assert caught.value.status == 2
