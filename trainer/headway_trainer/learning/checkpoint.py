"""Checkpoints: written beside and renamed, so that an interrupted or full disk leaves the last good one."""

from __future__ import annotations

import os
import pickle
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch

from headway.contract.errors import RefusedError
from headway_trainer.files import unwritable
from headway_trainer.processes import rank


def save(path: Path, state: Mapping[str, Any]) -> None:
    """Write `state` to `path` atomically. Raises `RefusedError` (`train.disk`); the file is then the previous one.

    Of several processes only the first writes.
    """
    if rank():
        return
    beside = path.with_suffix(".partial")
    try:
        with beside.open("wb") as stream:
            torch.save(dict(state), stream)
            stream.flush()
            os.fsync(stream.fileno())
        beside.replace(path)
    except OSError as error:
        raise unwritable(f"The checkpoint {path.name}", error) from error
    except RuntimeError as error:
        # torch's zip writer, closing after a failed write, hides the cause behind an error of its own.
        if isinstance(error.__context__, OSError):
            raise unwritable(f"The checkpoint {path.name}", error.__context__) from error
        raise
    finally:
        beside.unlink(missing_ok=True)


def load(path: Path) -> dict[str, Any] | None:
    """Return what `save` wrote, tensors on the CPU, or None if there is no checkpoint.

    Raises `RefusedError` (`train.checkpoint`) for a file that holds no checkpoint.
    """
    if not path.exists():
        return None
    try:
        state: dict[str, Any] = torch.load(path, map_location="cpu", weights_only=True)
    except (RuntimeError, EOFError, pickle.UnpicklingError, KeyError) as error:
        raise RefusedError(
            "train.checkpoint",
            f"{path.parent.name}/{path.name} holds no whole checkpoint.",
            hint=f"Do that step again: --resume --again {path.parent.name}.",
        ) from error
    return state
