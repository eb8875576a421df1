"""The scalar types of MIL: their numpy form, their width, and their code in a weight blob.

Facts: the ``DataType`` enumeration of MIL.proto and ``BlobDataType`` of coremltools' MILBlob storage format.
Sub-byte types are unpacked to one byte per element as soon as they are read; nothing downstream sees packed bits.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from headway.contract.errors import IncompatibleError

__all__ = ["DTYPES", "MilDType", "dtype_named", "dtype_of"]


@dataclass(frozen=True, slots=True)
class MilDType:
    """One scalar type: its MIL name, the numpy type of an unpacked element, bits per stored element, blob code."""

    name: str
    numpy: np.dtype[Any]
    bits: int
    blob_code: int | None

    @property
    def is_float(self) -> bool:
        """Whether values of this type are floating point."""
        return self.numpy.kind == "f"


def _of(name: str, numpy: Any, bits: int, blob_code: int | None) -> MilDType:
    return MilDType(name, np.dtype(numpy), bits, blob_code)


DTYPES: dict[int, MilDType] = {
    1: _of("bool", np.bool_, 8, None),
    2: _of("string", np.str_, 8, None),
    10: _of("fp16", np.float16, 16, 1),
    11: _of("fp32", np.float32, 32, 2),
    12: _of("fp64", np.float64, 64, None),
    21: _of("int8", np.int8, 8, 4),
    22: _of("int16", np.int16, 16, 6),
    23: _of("int32", np.int32, 32, 14),
    24: _of("int64", np.int64, 64, None),
    25: _of("int4", np.int8, 4, 8),
    31: _of("uint8", np.uint8, 8, 3),
    32: _of("uint16", np.uint16, 16, 7),
    33: _of("uint32", np.uint32, 32, 15),
    34: _of("uint64", np.uint64, 64, None),
    35: _of("uint4", np.uint8, 4, 11),
    36: _of("uint2", np.uint8, 2, 10),
    37: _of("uint1", np.uint8, 1, 9),
    38: _of("uint6", np.uint8, 6, 13),
    39: _of("uint3", np.uint8, 3, 12),
}
"""MIL's ``DataType`` number → its description. bfloat16 and float8 are absent: no numpy type, no op here takes them."""

_BY_NAME = {dtype.name: dtype for dtype in DTYPES.values()}


def dtype_of(number: int) -> MilDType:
    """Return the type with MIL.proto number *number*; raises :class:`IncompatibleError` on one not executed here."""
    try:
        return DTYPES[number]
    except KeyError:
        raise IncompatibleError(
            "unknown_dtype",
            f"The program uses scalar type number {number}, which this runtime does not execute.",
            hint="Export with float32 or float16 compute precision.",
            dtype=number,
        ) from None


def dtype_named(name: str) -> MilDType:
    """Return the type MIL calls *name*, e.g. ``fp32``; raises :class:`IncompatibleError` when there is none."""
    found = _BY_NAME.get(name)
    if found is None:
        raise IncompatibleError(
            "unknown_dtype",
            f"The program casts to {name!r}, which this runtime does not execute.",
            hint="Export with float32 or float16 compute precision.",
            dtype=name,
        )
    return found
