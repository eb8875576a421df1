"""Compiled artefacts on disk: one folder per package digest, options and versions; complete or absent.

A folder is written under a temporary name, flushed, and renamed; two processes that compile the same package at once
both succeed and one result stays. Entries of other versions are never read. When the cache outgrows its budget, the
entries used longest ago go first.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import tempfile
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from headway.coreml.mlprogram.artefact import PORTS

__all__ = ["CACHE_BUDGET_BYTES", "cached", "default_cache_dir"]

CACHE_BUDGET_BYTES = 2 << 30
"""Total size beyond which old entries are removed when a new one is added."""


def default_cache_dir() -> Path:
    """``$HEADWAY_CACHE_DIR``, or ``headway`` in the user's cache folder."""
    chosen = os.environ.get("HEADWAY_CACHE_DIR")
    if chosen:
        return Path(chosen) / "coreml"
    base = os.environ.get("XDG_CACHE_HOME") or str(Path.home() / ".cache")
    return Path(base) / "headway" / "coreml"


def cached(root: Path, key: str, build: Callable[[Path], None]) -> Path:
    """Return the folder for *key* under *root*, made by ``build(folder)`` when it is not there yet.

    *build* must write ``ports.json`` last. Errors of *build* pass through and leave nothing behind.
    """
    folder = root / hashlib.sha256(key.encode()).hexdigest()[:32]
    if (folder / PORTS).is_file():
        with suppress(OSError):
            os.utime(folder)
        return folder
    root.mkdir(parents=True, exist_ok=True)
    work = Path(tempfile.mkdtemp(prefix=".new-", dir=root))
    try:
        build(work)
        _flush(work)
        with suppress(OSError):  # another process was first: its folder is as good
            work.rename(folder)
    finally:
        shutil.rmtree(work, ignore_errors=True)
    _trim(root, keep=folder)
    return folder


def _flush(folder: Path) -> None:
    for path in folder.iterdir():
        with path.open("rb") as stream:
            os.fsync(stream.fileno())


def _trim(root: Path, keep: Path) -> None:
    entries = []
    for folder in root.iterdir():
        with suppress(OSError):
            if folder.is_dir() and not folder.name.startswith("."):
                entries.append((folder.stat().st_mtime, sum(f.stat().st_size for f in folder.iterdir()), folder))
    total = sum(size for _, size, _ in entries)
    for _, size, folder in sorted(entries):
        if total <= CACHE_BUDGET_BYTES:
            return
        if folder != keep:
            shutil.rmtree(folder, ignore_errors=True)
            total -= size
