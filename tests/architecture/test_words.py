"""Words that must not stand in the project: of work left undone, of one machine, of a package host."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
# Written in pieces, so that this file does not name what it forbids.
STUBS = re.compile(
    "|".join((r"\bTO" + r"DO\b", r"\bFIX" + r"ME\b", r"\bXX" + r"X\b", "raise NotImplemented" + "Error"))
)
MACHINE = re.compile("|".join(("/wo" + r"rk/(?:main|shared)", "/tmp/br" + "ief", r"/root" + r"/\.", r"/home/[a-z]+/")))
HOSTS = re.compile(
    "|".join(("pypi" + r"\.org", "files.python" + "hosted", "deb" + r"\.debian", "hugging" + r"face\.co/"))
)
TEXT = {".py", ".swift", ".md", ".toml", ".json", ".yml", ".yaml", ".html", ".css", ".js", ".sh", ".txt", ".cfg", ""}


def tracked() -> list[Path]:
    if shutil.which("git") is None:
        pytest.skip("git is not installed")
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, timeout=300, check=False)
    if listed.returncode != 0:
        pytest.skip("not a git clone")
    paths = (ROOT / name.decode() for name in listed.stdout.split(b"\0") if name)
    return [path for path in paths if path.suffix in TEXT and path.is_file() and "models" not in path.parts]


@pytest.mark.parametrize("words", [STUBS, MACHINE, HOSTS], ids=["stub", "machine", "host"])
def test_no_such_word(words: re.Pattern[str]) -> None:
    found = [
        f"{path.relative_to(ROOT)}:{number}: {line.strip()[:100]}"
        for path in tracked()
        for number, line in enumerate(path.read_text(encoding="utf-8", errors="replace").splitlines(), start=1)
        if words.search(line)
    ]
    assert found == []
