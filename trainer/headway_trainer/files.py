"""Writing what must not be lost: beside, then renamed; and one error for a disk that takes no more.

The file under its own name is at every moment either the old one or the new one, whole.
"""

from __future__ import annotations

import errno
import os
from pathlib import Path

from headway.contract.errors import RefusedError

_FULL = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})


def write_text(path: Path, text: str) -> None:
    """Write UTF-8 text atomically. Raises `RefusedError` (`train.disk`); the file is then as it was."""
    beside = path.with_name(path.name + ".partial")
    try:
        with beside.open("w", encoding="utf-8", newline="\n") as stream:
            stream.write(text)
            stream.flush()
            os.fsync(stream.fileno())
        beside.replace(path)
    except OSError as error:
        raise unwritable(path.name, error) from error
    finally:
        beside.unlink(missing_ok=True)


def unwritable(what: str, error: OSError) -> RefusedError:
    """Return the error of a write that failed: what could not be written and how to go on."""
    if error.errno in _FULL:
        message = f"{what} could not be written: the disk is full ({error.strerror})."
        hint = "Free some space and start again with --resume: what was finished and the last checkpoint are whole."
    else:
        message = f"{what} could not be written: {error.strerror or type(error).__name__}."
        hint = "Make the run folder writable and start again with --resume: what was finished is whole."
    return RefusedError("train.disk", message, hint=hint, errno=error.errno)
