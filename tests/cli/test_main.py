"""The front of the command line: help, suggestions, errors, exit codes, settings and where they come from."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from string import ascii_uppercase
from typing import Any

import pytest

from headway.cli import settings
from headway.cli.main import GROUPS, load_group, run
from headway.contract.errors import HeadwayError, RefusedError, TransferError, UntrustedError
from headway.contract.problems import exit_code_of


def test_help_lists_every_group_without_importing_one() -> None:
    code = (
        "import sys\n"
        "from headway.cli.main import run\n"
        "run(['--help'])\n"
        "loaded = [m for m in sys.modules if m.startswith('headway.cli.')]\n"
        "print('LOADED', sorted(loaded), 'numpy' in sys.modules, 'tuf' in sys.modules)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=300)
    assert all(name in done.stdout for name in GROUPS)
    assert "LOADED ['headway.cli.main', 'headway.cli.output'] False False" in done.stdout


@pytest.mark.parametrize("name", list(GROUPS))
def test_every_group_that_is_listed_exists(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert run([name, "--help"]) == 0
    assert "Usage: headway" in capsys.readouterr().out


def test_a_misspelt_group_is_a_usage_error_with_a_suggestion(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["serv"]) == 2
    assert "Did you mean 'server'" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (UntrustedError("bad_signature", "m", hint="h"), 3),
        (TransferError("refused", "m", hint="h"), 7),
        (RefusedError("x", "m", hint="h", kind="not_allowed"), 4),
        (RefusedError("x", "m", hint="h", kind="not_found"), 5),
        (RefusedError("x", "m", hint="h", kind="conflict"), 6),
        (RefusedError("x", "m", hint="h", kind="gate"), 8),
        (RefusedError("x", "m", hint="h"), 1),
    ],
)
def test_exit_codes_tell_what_the_caller_can_do(error: HeadwayError, code: int) -> None:
    assert exit_code_of(error) == code


def test_flag_beats_environment_beats_project_file_beats_user_file(tmp_path: Path) -> None:
    home, project = tmp_path / "home", tmp_path / "project"
    (home / ".config" / "headway").mkdir(parents=True)
    project.mkdir()
    user_file = home / ".config" / "headway" / "config.toml"
    user_file.write_text('url = "http://user"\napp = "user-app"\nchannel = "user-channel"\n', encoding="utf-8")
    (project / "headway.toml").write_text('url = "http://project"\napp = "project-app"\n', encoding="utf-8")
    effective = settings.load(
        {"token": "t", "url": None}, environ={"HOME": str(home), "HEADWAY_URL": "http://env"}, folder=project
    )
    assert effective.token == settings.Setting("t", "flag")
    assert effective.url == settings.Setting("http://env", "HEADWAY_URL")
    assert effective.app == settings.Setting("project-app", str(project / "headway.toml"))
    assert effective.channel == settings.Setting("user-channel", str(user_file))
    assert effective.keys == settings.Setting("keys", "default")


@pytest.mark.parametrize(
    ("text", "says"),
    [("url = ", "cannot be read as TOML"), ('colour = "red"', "unknown name 'colour'"), ("url = 5", "as a string")],
)
def test_a_wrong_settings_file_is_one_sentence(tmp_path: Path, text: str, says: str) -> None:
    (tmp_path / "headway.toml").write_text(text, encoding="utf-8")
    with pytest.raises(RefusedError) as raised:
        settings.load(environ={"HOME": str(tmp_path)}, folder=tmp_path)
    assert raised.value.code == "malformed_settings"
    assert says in raised.value.message


def test_env_never_prints_the_token(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setenv("HEADWAY_TOKEN", "hw_test_secret")
    assert run(["env", "--json"]) == 0
    out = capsys.readouterr().out
    assert "hw_test_secret" not in out
    assert json.loads(out)["settings"]["token"] == {"value": "(set)", "source": "HEADWAY_TOKEN"}


def test_a_missing_setting_says_all_ways_to_give_it(tmp_path: Path) -> None:
    effective = settings.load(environ={"HOME": str(tmp_path)}, folder=tmp_path)
    with pytest.raises(RefusedError, match="app is not set") as raised:
        effective.need("app")
    assert all(way in raised.value.hint for way in ("--app", "HEADWAY_APP", "headway.toml"))


def test_what_the_system_refuses_is_one_sentence(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "file").touch()
    bundle = tmp_path / "bundle"
    bundle.mkdir()
    assert run(["poll", "--bundle", str(bundle), "--store", str(tmp_path / "file")]) == 1
    told = capsys.readouterr().err
    assert told.startswith(f"Error [cannot_write]: Cannot use {tmp_path / 'file'} (File exists).\nHint: ")
    assert "Traceback" not in told


def commands(command: Any, path: tuple[str, ...]) -> Iterator[tuple[tuple[str, ...], Any]]:
    """Every command of the program with its words, groups included."""
    yield path, command
    for name, child in getattr(command, "commands", {}).items():
        yield from commands(child, (*path, name))


def every_command() -> list[tuple[tuple[str, ...], Any]]:
    return [found for group in GROUPS if group != "train" for found in commands(load_group(group), (group,))]


def test_an_option_means_the_same_wherever_it_stands() -> None:
    told: dict[str, set[str]] = {}
    for _, command in every_command():
        for parameter in command.params:
            for flag in getattr(parameter, "opts", ()):
                if flag in ("--url", "--token", "--app", "--keys", "--channel", "--json", "--dry-run", "--data-dir"):
                    told.setdefault(flag, set()).add(parameter.help)
    # Of `server create-token` and `list-tokens`, on the machine itself.
    told["--app"] -= {"Only for this app; without it, for all.", "Only of this app."}
    told["--json"].discard("Print the summary as JSON.")
    told["--dry-run"].discard("Only say what would go.")
    assert {flag: len(texts) for flag, texts in told.items()} == dict.fromkeys(told, 1)


def test_every_command_and_every_parameter_says_what_it_is() -> None:
    lacking = []
    for path, command in every_command():
        lacking += [path] if not command.help else []
        for parameter in command.params:
            if not getattr(parameter, "help", None):
                lacking.append((*path, parameter.name))
            if parameter.param_type_name == "argument" and not (parameter.metavar or "").startswith(
                tuple(ascii_uppercase)
            ):
                lacking.append((*path, parameter.name, "has no placeholder in capitals"))
    assert lacking == []
