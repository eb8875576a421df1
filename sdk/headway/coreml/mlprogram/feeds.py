"""Bringing a caller's arrays into the shape and type a program takes, and results back."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from headway.contract.errors import RefusedError
from headway.coreml.mlprogram.artefact import Port

__all__ = ["Feeds", "arrange", "fits"]

_Form = Literal["item", "batch", "folded"]


@dataclass(frozen=True, slots=True)
class Feeds:
    """Arrays by graph input, each ``[items, *shape]``, and how the caller wrote the batch."""

    arrays: Mapping[str, NDArray[Any]]
    items: int
    form: _Form

    def shaped(self, result: NDArray[Any]) -> NDArray[Any]:
        """Return *result* ``[items, *shape]`` with the batch axis as the caller wrote it."""
        if self.form == "item":
            return np.asarray(result[0])
        if self.form == "folded" and result.ndim > 1 and result.shape[1] == 1:
            return result.reshape(result.shape[0], *result.shape[2:])
        return result


def arrange(ports: Sequence[Port], inputs: Mapping[str, NDArray[Any]]) -> Feeds:
    """Check *inputs* against *ports* and give each a batch axis; further inputs are ignored, as Core ML does.

    Raises :class:`RefusedError` (``input``) naming what is missing or misshapen.
    """
    names = [port.name for port in ports]
    if not set(names) <= set(inputs):
        raise _refuse(f"The program takes the inputs {sorted(names)}, it was given {sorted(inputs)}.")
    forms: set[_Form] = set()
    sizes: set[int] = set()
    arrays = {}
    for port in ports:
        array = _typed(port, np.asarray(inputs[port.name]))
        form, batch = _batch(port, array)
        forms.add(form)
        sizes.add(batch.shape[0])
        arrays[port.value] = batch
    if len(sizes) > 1 or ("item" in forms and len(forms) > 1):
        raise _refuse(f"The inputs hold different numbers of items: {sorted(sizes)}.")
    form = "batch" if "batch" in forms else forms.pop() if forms else "item"
    return Feeds(arrays, sizes.pop() if sizes else 1, form)


def _typed(port: Port, array: NDArray[Any]) -> NDArray[Any]:
    wanted = np.dtype(port.dtype)
    if not np.can_cast(array.dtype, wanted, "same_kind") and not (array.dtype.kind in "iu" and wanted.kind in "if"):
        raise _refuse(f"The input {port.name!r} takes {wanted}, it was given {array.dtype}.")
    if wanted.kind == "i" and array.size and array.dtype.itemsize > wanted.itemsize:
        limits = np.iinfo(wanted)
        if int(array.min()) < limits.min or int(array.max()) > limits.max:
            raise _refuse(f"The input {port.name!r} holds values outside {wanted}.")
    return np.ascontiguousarray(array, dtype=wanted).reshape(array.shape)


def _batch(port: Port, array: NDArray[Any]) -> tuple[_Form, NDArray[Any]]:
    if fits(array.shape, port.shape):
        return "item", array[None]
    if fits(array.shape[1:], port.shape) and array.ndim == len(port.shape) + 1 and array.shape[0]:
        return "batch", array
    if port.shape[:1] == (1,) and fits(array.shape[1:], port.shape[1:]) and array.ndim and array.shape[0]:
        return "folded", array[:, None]
    shown = ["any" if size is None else size for size in port.shape]
    raise _refuse(f"The input {port.name!r} has shape {list(array.shape)}; it takes {shown} or a batch of that.")


def fits(shape: tuple[int, ...], wanted: tuple[int | None, ...]) -> bool:
    """Whether *shape* is what *wanted* says, None meaning any size."""
    return len(shape) == len(wanted) and all(w is None or s == w for s, w in zip(shape, wanted, strict=True))


def _refuse(message: str) -> RefusedError:
    return RefusedError("input", message, hint="Look at the model's description for names, types and shapes.")
