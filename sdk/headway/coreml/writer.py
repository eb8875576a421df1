"""Writing model files so that a crash leaves the old file or the new one, never half of either.

A file is written beside its place, synced, then renamed.  A package is a folder, which no system call replaces in one
step: the new folder is complete and synced before the old one is moved aside, and the old one is removed last.
"""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Mapping
from pathlib import Path

from headway.coreml.blob import WeightFile

__all__ = ["write_file", "write_package"]


def write_file(path: Path, data: bytes) -> None:
    """Write *data* to *path*; raises OSError and then leaves what was there."""
    handle, temporary = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
    try:
        with os.fdopen(handle, "wb") as stream:
            stream.write(data)
            stream.flush()
            os.fsync(stream.fileno())
        Path(temporary).chmod(0o644)
        Path(temporary).replace(path)
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise
    _sync_folder(path.parent)


def write_package(path: Path, contents: Mapping[str, WeightFile]) -> None:
    """Write *contents* (by relative name) as the folder *path*; raises OSError and then leaves what was there."""
    staging = Path(tempfile.mkdtemp(prefix=f".{path.name}.", dir=path.parent))
    try:
        fresh = staging / "new"
        for name, content in contents.items():
            target = fresh / name
            target.parent.mkdir(parents=True, exist_ok=True)
            _copy(content, target)
        for folder in {fresh, *(p for p in fresh.rglob("*") if p.is_dir())}:
            _sync_folder(folder)
        if path.exists():
            path.rename(staging / "old")
        fresh.rename(path)
        _sync_folder(path.parent)
    finally:
        if (staging / "old").exists() and not path.exists():
            (staging / "old").rename(path)
        shutil.rmtree(staging, ignore_errors=True)


def _copy(content: WeightFile, target: Path) -> None:
    if isinstance(content, bytes):
        target.write_bytes(content)
    else:
        shutil.copyfile(content, target)
    with target.open("rb") as stream:
        os.fsync(stream.fileno())


def _sync_folder(folder: Path) -> None:
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
