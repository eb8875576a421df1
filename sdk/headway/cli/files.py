"""Files that a person named: reading and writing them with one sentence where that fails."""

from __future__ import annotations

from pathlib import Path

from headway.contract.errors import RefusedError


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
