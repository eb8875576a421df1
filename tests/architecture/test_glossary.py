"""One Chinese term for each concept: pages, console and reports keep to the table of ``docs/glossary.md``."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
GLOSSARY = ROOT / "docs" / "glossary.md"
PLACES = (
    "README.zh.md",
    "docs/*.zh.md",
    "sdk/headway/**/*.py",
    "sdk/headway/**/*.j2",
    "server/headway_server/**/*.py",
    "server/headway_server/**/*.html",
    "trainer/headway_trainer/**/*.py",
    "trainer/headway_trainer/**/*.j2",
)


def rows() -> list[list[str]]:
    """The table's cells, without its head."""
    lines = [line for line in GLOSSARY.read_text().splitlines() if line.startswith("| ")]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in lines[1:]]


def texts() -> Iterator[Path]:
    for place in PLACES:
        yield from sorted(ROOT.glob(place))


def test_the_table_is_whole_and_decides() -> None:
    table = rows()
    assert len(table) > 25
    assert all(len(row) == 4 and all(row) for row in table)
    chosen = [term for row in table for term in row[1].split("、")]
    banned = [term for row in table for term in row[2].split("、")]
    assert len(set(chosen)) == len(chosen), "one concept, one term"
    assert not set(chosen) & set(banned)


def test_nobody_uses_another_word() -> None:
    banned = {term: row[1] for row in rows() for term in row[2].split("、")}
    found = {
        f"{path.relative_to(ROOT)}:{number}: {term}": f"use {use}"
        for path in texts()
        for number, line in enumerate(path.read_text().splitlines(), start=1)
        for term, use in banned.items()
        if term in line
    }
    assert not found
