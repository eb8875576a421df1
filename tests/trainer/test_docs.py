"""The pages about training name files, commands and codes that exist."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from typer.testing import CliRunner

from headway.cli.main import GROUPS, app
from headway_trainer.order import ORDER

ROOT = Path(__file__).parents[2]
PAGES = [ROOT / "docs" / name for name in ("training.md", "training.zh.md", "checklist.md", "checklist.zh.md")]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_and_paths_are_there(page: Path) -> None:
    text = page.read_text("utf-8")
    for link in re.findall(r"\]\(([^)#]+)\)", text):
        assert (page.parent / link).exists(), link
    roots = (ROOT, ROOT / "sdk", ROOT / "ios_fixtures/Sources")
    for path in re.findall(r"`([\w/]+/[\w/]+\.(?:py|swift))`", text):
        assert any((root / path).exists() for root in roots), path
    for module in re.findall(r"`(headway(?:\.\w+)+)`", text):
        stem = ROOT / "sdk" / module.replace(".", "/")
        parent = stem.parent / "__init__.py"
        known = stem.is_dir() or stem.with_suffix(".py").exists() or stem.name in parent.read_text("utf-8")
        assert known, module


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_commands_are_there(page: Path) -> None:
    for group in set(re.findall(r"`?headway ([a-z]+)", page.read_text("utf-8"))):
        assert group in GROUPS, group


def test_options_of_training_are_told_and_told_options_exist() -> None:
    helped = CliRunner().invoke(app, ["train", "run", "--help"], terminal_width=200).output
    asked = "".join(
        CliRunner().invoke(app, ["train", command, "--help"], terminal_width=200).output
        for command in ("import", "ablate", "head")
    )
    for page in PAGES[:2]:
        text = page.read_text("utf-8")
        told = {*re.findall(r"--[a-z][a-z-]+", text)} - {"--base", "--base-id", "--version", "--nproc-per-node"}
        for option in told:
            assert option in helped or option in asked, option
        for step in ORDER:
            assert f"| `{step}` |" in text, step


def test_codes_that_are_told_are_raised() -> None:
    sources = "".join(path.read_text("utf-8") for path in (ROOT / "trainer/headway_trainer").rglob("*.py"))
    raised = set(re.findall(r"\"(train\.[a-z_]+)\"", sources))
    for page in PAGES[:2]:
        told = set(re.findall(r"`(train\.[a-z_]+)`", page.read_text("utf-8")))
        assert told <= raised, told - raised
