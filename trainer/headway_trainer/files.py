"""Writing what must not be lost: beside, then renamed; and one error for a disk that takes no more.

The file under its own name is at every moment either the old one or the new one, whole.
"""

from __future__ import annotations

import errno
import os
from pathlib import Path

from headway.contract.errors import RefusedError
from headway_trainer.processes import rank

_FULL = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})


def write_text(path: Path, text: str) -> None:
    """Write UTF-8 text atomically. Raises `RefusedError` (`train.disk`); the file is then as it was.

    Of several processes only the first writes.
    """
    if rank():
        return
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


def make_folder(path: Path) -> Path:
    """Make a folder and those above it, if they are not there. Raises `RefusedError` (`train.disk`)."""
    try:
        path.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise unwritable(f"The folder {path.name}", error) from error
    return path


def unwritable(what: str, error: OSError) -> RefusedError:
    """Return the error of a write that failed (`train.disk`): what could not be written and how to go on."""
    if is_full(error):
        message = f"{what} could not be written: the disk is full."
        hint = "Free some space and start again with --resume: what was finished and the last checkpoint are whole."
    else:
        message = f"{what} could not be written: {error.strerror or type(error).__name__}."
        hint = "Make the run folder writable and start again with --resume: what was finished is whole."
    return RefusedError("train.disk", message, hint=hint, errno=error.errno)


def step_failed(step: str, error: OSError) -> RefusedError:
    """Return the error of a step that a file stopped: `train.disk` if the disk is full, else `train.file`."""
    if is_full(error):
        return unwritable(f"What the step {step} leaves", error)
    name = Path(error.filename).name if error.filename else "a file"
    return RefusedError(
        "train.file",
        f"The step {step} cannot use {name}: {error.strerror or error}.",
        hint="Correct the path in the configuration or its permissions, and start again with --resume.",
    )


def package_unwritten(step: str, error: RuntimeError) -> RefusedError | None:
    """Return the error of a step whose package could not be written, None for any other error.

    The writer of weights belongs to coremltools, which says that it failed and not why.
    """
    if "FileWriter" not in str(error):
        return None
    return RefusedError(
        "train.disk",
        f"The package of the step {step} could not be written. A disk is full, the run's or that of temporary files.",
        hint="Free some space there and start again with --resume: what was finished is whole.",
    )


def is_full(error: OSError) -> bool:
    """Whether a disk, a quota or a limit on file sizes refused a write; copies of folders hide theirs in the text."""
    return error.errno in _FULL or os.strerror(errno.ENOSPC) in str(error)
