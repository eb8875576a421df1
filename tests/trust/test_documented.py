"""The pages about threats, keys and publishing are held to the code: named tests exist, and written commands parse."""

from __future__ import annotations

import importlib
import re
import shlex
from pathlib import Path

import pytest
import typer

ROOT = Path(__file__).resolve().parents[2]
NAMED = re.findall(r"`(tests/[\w/.]+)::(\w+)`", (ROOT / "docs" / "threats.md").read_text(encoding="utf-8"))
COMMANDS = [
    found
    for page in ("keys.md", "publishing.md")
    for found in re.findall(r"^headway (\w+) (.+)$", (ROOT / "docs" / page).read_text(encoding="utf-8"), re.MULTILINE)
]


@pytest.mark.parametrize(("file", "test"), NAMED, ids=[test for _, test in NAMED])
def test_every_named_test_exists(file, test):
    text = (ROOT / file).read_text(encoding="utf-8")
    assert re.search(rf"^def {test}\(", text, re.MULTILINE)


@pytest.mark.parametrize(("group", "line"), COMMANDS, ids=[" ".join(pair) for pair in COMMANDS])
def test_every_written_command_parses(group, line):
    command = typer.main.get_command(importlib.import_module(f"headway.cli.{group}").app)
    words = shlex.split(line, comments=True)
    if hasattr(command, "commands"):
        command = command.commands[words.pop(0)]
    command.make_context(group, words)


def test_the_pages_say_something():
    assert len(NAMED) > 30
    assert len(COMMANDS) > 20
