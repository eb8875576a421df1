"""Semantics in a file: the JSON that the calibration kit writes and every command can read."""

from __future__ import annotations

import json
from pathlib import Path

from headway.contract.errors import RefusedError
from headway.coreml.update.errors import io_error
from headway.coreml.update.semantics import Semantics
from headway.coreml.writer import write_file

__all__ = ["read_semantics", "write_semantics"]

_MAX_BYTES = 64 * 1024


def read_semantics(path: Path) -> Semantics:
    """Return the switches in the file *path*: ``{"schema": 1, "semantics": {…}}``.

    Raises:
        RefusedError: code ``not_found``, ``malformed`` or ``semantics``.
    """
    try:
        with path.open("rb") as stream:
            content = json.loads(stream.read(_MAX_BYTES).decode("utf-8"))
    except FileNotFoundError as error:
        raise RefusedError(
            "not_found", f"There is no file {path.name!r}.", hint="Give a semantics file.", kind="not_found"
        ) from error
    except (OSError, ValueError, RecursionError) as error:
        raise _bad(path) from error
    if not isinstance(content, dict) or content.get("schema") != 1:
        raise _bad(path)
    return Semantics.from_json(content.get("semantics"))


def write_semantics(path: Path, semantics: Semantics) -> None:
    """Write *semantics* to *path*, crash-safe; raises MLModelError (``io``)."""
    data = json.dumps({"schema": 1, "semantics": semantics.to_json()}, indent=2).encode("ascii") + b"\n"
    try:
        write_file(path, data)
    except OSError as error:
        raise io_error(f"{path.name!r} cannot be written: {error.strerror}.", "Check the folder.") from error


def _bad(path: Path) -> RefusedError:
    return RefusedError(
        "semantics", f"{path.name!r} is no semantics file.", hint="Make one with `headway coreml calibrate read`."
    )
