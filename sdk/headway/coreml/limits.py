"""How large and how many things a model file may hold before reading stops."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["DEFAULT_LIMITS", "ReadLimits"]

_MIB = 1024 * 1024


@dataclass(frozen=True)
class ReadLimits:
    """Upper bounds for one model file or package; sizes in bytes."""

    spec_bytes: int = 32 * _MIB
    manifest_bytes: int = 256 * 1024
    file_bytes: int = 2048 * _MIB
    total_bytes: int = 2048 * _MIB
    zip_total_bytes: int = 512 * _MIB
    files: int = 64
    depth: int = 6
    zip_ratio: int = 200


DEFAULT_LIMITS = ReadLimits()
"""The limits used where a caller names none."""
