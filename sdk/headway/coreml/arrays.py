"""Arrays by name in ``.npz`` files: the form in which the command line takes inputs and training data.

Files are read without pickle: they can hold numbers and text, never code.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from headway.contract.errors import RefusedError

__all__ = ["read_arrays", "write_arrays"]


def read_arrays(path: Path) -> dict[str, NDArray[Any]]:
    """Return the arrays in the ``.npz`` file *path*.

    Raises:
        RefusedError: code ``npz``, or ``not_found``.
    """
    if not path.is_file():
        raise RefusedError(
            "not_found", f"There is no file {path.name!r}.", hint="Give a .npz of arrays.", kind="not_found"
        )
    try:
        with np.load(path, allow_pickle=False) as archive:
            return {name: archive[name] for name in archive.files}
    except Exception as error:  # zip, deflate and header can each be wrong, and each has classes of its own for that
        raise RefusedError(
            "npz", f"{path.name!r} is no .npz file of plain arrays.", hint="Write it with numpy.savez."
        ) from error


def write_arrays(path: Path, arrays: Mapping[str, NDArray[Any]]) -> None:
    """Write *arrays* to the ``.npz`` file *path*; arrays of objects become text.

    Raises:
        RefusedError: code ``io``.
    """
    plain = {
        name: np.asarray(values).astype(np.str_) if np.asarray(values).dtype.kind == "O" else np.asarray(values)
        for name, values in arrays.items()
    }
    try:
        with path.open("wb") as stream:
            np.savez(stream, **plain)  # type: ignore[arg-type]
    except OSError as error:
        raise RefusedError(
            "io", f"{path.name!r} cannot be written: {error.strerror}.", hint="Check the folder."
        ) from error
