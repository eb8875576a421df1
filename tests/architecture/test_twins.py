"""A page in Chinese says what its English twin says: the same sections, tables, commands and settings."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
TWINS = sorted((ROOT / "docs").glob("*.zh.md"))
COMMAND = re.compile(r"^(?:pip|headway) .*", re.MULTILINE)
REMARK = re.compile(r"\s+#.*|(?<=\S) {4,}.*")


def english(page: Path) -> Path:
    return page.with_name(page.name.replace(".zh.md", ".md"))


def fenced(text: str) -> str:
    """What stands between code fences."""
    return "\n".join(text.split("```")[1::2])


def commands(text: str) -> list[str]:
    """The command lines of a page, without what stands beside them and without texts for people in quotes."""
    return [re.sub(r'"[^"]*"', '""', REMARK.sub("", line)) for line in COMMAND.findall(fenced(text))]


def shape(text: str) -> dict[str, int]:
    """How many headings, table rows and list items a page has outside its code."""
    prose = "\n".join(text.split("```")[::2])
    marks = {"headings": r"^#+ ", "rows": r"^\|", "items": r"^- ", "numbers": r"^\d+\. "}
    return {name: len(re.findall(mark, prose, re.MULTILINE)) for name, mark in marks.items()}


def settings(text: str) -> set[str]:
    """Environment variables and options that a page names."""
    return set(re.findall(r"HEADWAY_[A-Z_0-9*]+|(?<![\w-])--[a-z][a-z-]+", text))


@pytest.mark.parametrize("page", TWINS, ids=lambda page: page.name)
def test_twins_are_linked_and_alike(page: Path) -> None:
    twin = english(page)
    ours, theirs = page.read_text("utf-8"), twin.read_text("utf-8")
    assert f"[English]({twin.name})" in ours.splitlines()[2]
    assert f"[中文]({page.name})" in theirs.splitlines()[2]
    assert shape(ours) == shape(theirs)
    assert commands(ours) == commands(theirs)
    assert settings(ours) == settings(theirs)


@pytest.mark.parametrize("page", [ROOT / "README.zh.md", *TWINS], ids=lambda page: page.name)
def test_links_lead_somewhere_and_to_chinese_where_there_is_some(page: Path) -> None:
    for link in re.findall(r"\]\(([^)#:]+)\)", page.read_text("utf-8")):
        target = page.parent / link
        assert target.exists(), link
        own = english(page).name
        if target.name != own and target.suffix == ".md" and target.parent.name == "docs":
            assert target.name.endswith(".zh.md") or not target.with_suffix(".zh.md").exists(), link
