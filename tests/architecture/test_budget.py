"""The file budget: nearly every project has grown one god file unnoticed; here a test notices."""

from __future__ import annotations

import statistics
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
MEDIAN, MOST = 130, 400
PYTHON = sorted(p for root in ("sdk", "server", "trainer") for p in (ROOT / root).rglob("*.py"))
SWIFT = sorted(p for folder in ("Sources", "Tests") for p in (ROOT / "ios_fixtures" / folder).rglob("*.swift"))


def lines(path: Path) -> int:
    return len(path.read_text(encoding="utf-8").splitlines())


@pytest.mark.parametrize("files", [PYTHON, SWIFT], ids=["python", "swift"])
def test_no_file_is_a_god(files: list[Path]) -> None:
    assert files
    assert {str(p.relative_to(ROOT)): n for p in files if (n := lines(p)) > MOST} == {}


@pytest.mark.parametrize("files", [PYTHON, SWIFT], ids=["python", "swift"])
def test_the_middle_file_is_short(files: list[Path]) -> None:
    assert statistics.median(n for p in files if (n := lines(p)) > 1) <= MEDIAN
