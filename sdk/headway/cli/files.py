"""Files that a person named: reading and writing them with one sentence where that fails."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

from headway.contract.errors import RefusedError

T = TypeVar("T")


def read_file(path: Path) -> bytes:
    """The bytes of a file.

    Raises:
        RefusedError: code ``no_such_file``.
    """
    try:
        return path.read_bytes()
    except OSError as error:
        raise RefusedError(
            "no_such_file",
            f"Cannot read {path} ({error.strerror}).",
            hint="Check the path.",
            kind="not_found",
        ) from error


def read_as(path: Path, parse: Callable[[bytes], T]) -> T:
    """What ``parse`` makes of a file; where it refuses, its sentence names the file.

    Raises:
        RefusedError: code ``no_such_file``, or as ``parse``.
    """
    data = read_file(path)
    try:
        return parse(data)
    except RefusedError as error:
        raise RefusedError(
            error.code, f"{path}: {error.message}", hint=error.hint, kind=error.kind, **error.data
        ) from error


def write_file(path: Path, data: bytes) -> None:
    """Write a file.

    Raises:
        RefusedError: code ``cannot_write``.
    """
    try:
        path.write_bytes(data)
    except OSError as error:
        raise cannot_use(path, error) from error


def cannot_use(path: Path | str | None, error: OSError) -> RefusedError:
    """What the system said about a file or folder, as one of our errors."""
    why = error.strerror or type(error).__name__
    if path is None:
        return RefusedError("system", f"The system refused: {why}.", hint="Run it again when that is mended.")
    return RefusedError(
        "cannot_write",
        f"Cannot use {path} ({why}).",
        hint="Check the folder, its permissions and the space left on its disk.",
    )
