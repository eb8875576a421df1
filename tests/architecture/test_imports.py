"""Who may import whom: the contracts of pyproject, and that the bare contract really needs nothing."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]


def test_import_contracts_hold() -> None:
    program = shutil.which("lint-imports", path=str(Path(sys.executable).parent)) or shutil.which("lint-imports")
    if program is None:
        pytest.skip("import-linter is not installed: pip install .[dev]")
    done = subprocess.run([program, "--no-cache"], cwd=ROOT, capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("module", ["headway", "headway.contract.explain", "headway.contract.manifest"])
def test_the_contract_needs_the_standard_library_only(module: str) -> None:
    """Imported with site-packages out of reach: only the component root is on the path."""
    code = f"import sys; sys.path.insert(0, {str(ROOT / 'sdk')!r}); import {module}"
    done = subprocess.run(
        [sys.executable, "-I", "-S", "-c", code], capture_output=True, text=True, timeout=300, check=False
    )
    assert done.returncode == 0, done.stderr
