"""Checkpoints: written beside and renamed, so that an interrupted or full disk leaves the last good one."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch


def save(path: Path, state: Mapping[str, Any]) -> None:
    """Write `state` to `path` atomically. Raises `OSError`; the file at `path` is then the previous one."""
    beside = path.with_suffix(".partial")
    try:
        with beside.open("wb") as stream:
            torch.save(dict(state), stream)
            stream.flush()
            os.fsync(stream.fileno())
        beside.replace(path)
    finally:
        beside.unlink(missing_ok=True)


def load(path: Path) -> dict[str, Any] | None:
    """Return what `save` wrote, tensors on the CPU, or None if there is no checkpoint."""
    if not path.exists():
        return None
    state: dict[str, Any] = torch.load(path, map_location="cpu", weights_only=True)
    return state
