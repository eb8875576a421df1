"""``golden.safetensors``: the batch that a base or a head is proven on.

Read strictly: exactly the expected tensors, types and shapes, and at most :data:`MAX_BYTES`; finite floats only.
The row count may be anything from 1 to :data:`MAX_ROWS`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from headway.contract.errors import RefusedError

__all__ = ["MAX_BYTES", "MAX_ROWS", "BaseGolden", "HeadGolden", "read_base_golden", "read_head_golden", "write_golden"]

MAX_BYTES = 64 << 20
MAX_ROWS = 4096
_MAX_LENGTH = 512


@dataclass(frozen=True, slots=True)
class BaseGolden:
    """Token ids and masks int32 ``[n, L]`` and the features float32 ``[n, D]`` that the base gave for them."""

    input_ids: NDArray[np.int32]
    attention_mask: NDArray[np.int32]
    features: NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class HeadGolden(BaseGolden):
    """As :class:`BaseGolden`, with true labels int32 ``[n]`` and the head's probabilities float32 ``[n, K]``."""

    labels: NDArray[np.int32]
    probabilities: NDArray[np.float32]


_BASE = {"input_ids": ("int32", 2), "attention_mask": ("int32", 2), "features": ("float32", 2)}
_HEAD = {**_BASE, "labels": ("int32", 1), "probabilities": ("float32", 2)}


def read_base_golden(source: Path | bytes) -> BaseGolden:
    """Read the golden batch of a base; raises :class:`RefusedError` (``golden``)."""
    tensors = _read(source, _BASE)
    return BaseGolden(tensors["input_ids"], tensors["attention_mask"], tensors["features"])


def read_head_golden(source: Path | bytes) -> HeadGolden:
    """Read the golden batch of a head; raises :class:`RefusedError` (``golden``)."""
    t = _read(source, _HEAD)
    classes = t["probabilities"].shape[1]
    if t["labels"].min() < 0 or t["labels"].max() >= classes:
        raise _refuse(f"a label lies outside 0…{classes - 1}")
    return HeadGolden(t["input_ids"], t["attention_mask"], t["features"], t["labels"], t["probabilities"])


def write_golden(golden: BaseGolden) -> bytes:
    """Return *golden* as safetensors bytes; the inverse of the readers, and equally strict."""
    from safetensors.numpy import save

    head = isinstance(golden, HeadGolden)
    expected = _HEAD if head else _BASE
    tensors = {name: np.ascontiguousarray(getattr(golden, name)) for name in expected}
    _check(tensors, expected)
    data: bytes = save(tensors)
    return data


def _read(source: Path | bytes, expected: Mapping[str, tuple[str, int]]) -> dict[str, NDArray[Any]]:
    from safetensors import SafetensorError
    from safetensors.numpy import load

    data = source if isinstance(source, bytes) else _bounded(source)
    if len(data) > MAX_BYTES:
        raise _refuse(f"it is larger than {MAX_BYTES} bytes")
    try:
        tensors: dict[str, NDArray[Any]] = load(data)
    except (SafetensorError, ValueError, KeyError, AttributeError, TypeError) as error:
        raise _refuse(f"it is not a safetensors file ({type(error).__name__})") from error
    _check(tensors, expected)
    return tensors


def _bounded(path: Path) -> bytes:
    with path.open("rb") as stream:
        return stream.read(MAX_BYTES + 1)


def _check(tensors: Mapping[str, NDArray[Any]], expected: Mapping[str, tuple[str, int]]) -> None:
    if set(tensors) != set(expected):
        raise _refuse(f"it holds {sorted(tensors)}, expected {sorted(expected)}")
    rows = {array.shape[0] for array in tensors.values() if array.ndim}
    for name, (dtype, rank) in expected.items():
        array = tensors[name]
        if array.dtype != np.dtype(dtype) or array.ndim != rank or 0 in array.shape:
            raise _refuse(f"{name} is {array.dtype} {list(array.shape)}, expected {dtype} of rank {rank}")
        if array.dtype.kind == "f" and not np.isfinite(array).all():
            raise _refuse(f"{name} holds values that are not finite")
    if len(rows) != 1 or not 1 <= rows.pop() <= MAX_ROWS:
        raise _refuse(f"its tensors must all have the same 1 to {MAX_ROWS} rows")
    ids, mask = tensors["input_ids"], tensors["attention_mask"]
    if ids.shape != mask.shape or ids.shape[1] > _MAX_LENGTH or not np.isin(mask, (0, 1)).all():
        raise _refuse(f"input_ids {list(ids.shape)} and attention_mask {list(mask.shape)} do not belong together")


def _refuse(why: str) -> RefusedError:
    return RefusedError(
        "golden",
        f"The golden batch is not usable: {why}.",
        hint="Write it again from the base and head that it belongs to.",
    )
