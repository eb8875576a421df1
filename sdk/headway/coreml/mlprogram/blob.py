"""Reading Core ML's weight blob (storage format 2), every offset and size checked against the file.

Layout, from coremltools' MILBlob ``StorageFormat.hpp``: a 64-byte header (entry count u32, version u32), then per
entry a 64-byte record (sentinel 0xDEADBEEF u32, type u32, size u64, data offset u64, padding bits u64) that MIL points
at, and the data. Values are little-endian; sub-byte elements are packed from the least significant bit.
A weight is read when it is asked for and kept by nobody here, so a large package costs one weight at a time.
"""

from __future__ import annotations

import io
import math
import struct
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

from headway.contract.errors import RefusedError
from headway.coreml.mlprogram.dtypes import MilDType

__all__ = ["BlobFile", "unpack_bits"]

_HEADER = struct.Struct("<II")
_RECORD = struct.Struct("<IIQQQ")
_RECORD_SIZE = 64
_SENTINEL = 0xDEADBEEF
_VERSION = 2


_PART = 1 << 16
"""Elements that are unpacked at a time."""


def unpack_bits(packed: NDArray[np.uint8], bits: int, count: int, *, signed: bool = False) -> NDArray[Any]:
    """Unpack *count* elements of *bits* (1–8) each, least significant bit first, to one byte per element.

    Returns uint8 ``[count]``, or int8 when *signed* (two's complement in *bits* bits).
    """
    if bits == 8:
        whole: NDArray[Any] = packed[:count]
        return whole.view(np.int8) if signed else whole
    values = np.empty(count, np.uint8)
    weights = (1 << np.arange(bits)).astype(np.uint8)
    # A byte for every bit is taken for one part at a time; parts begin at whole bytes, as _PART is a multiple of 8.
    for first in range(0, count, _PART):
        part = values[first : first + _PART]
        flags = np.unpackbits(packed[first * bits // 8 :], bitorder="little", count=part.size * bits)
        np.matmul(flags.reshape(-1, bits), weights, out=part)
    if not signed:
        return values
    # Shift the sign bit to the top and back: arithmetic shifts extend it.
    extended: NDArray[np.int8] = (values << np.uint8(8 - bits)).view(np.int8) >> np.int8(8 - bits)
    return extended


class BlobFile:
    """One weight file, on disk or in memory.

    Raises :class:`RefusedError` (``weights``) when it is not a version-2 blob.
    """

    def __init__(self, name: str, source: Path | bytes) -> None:
        self._name = name
        try:
            self._file: BinaryIO = io.BytesIO(source) if isinstance(source, bytes) else source.open("rb")
            self._size = self._file.seek(0, io.SEEK_END)
        except OSError as error:
            raise self._refuse(f"cannot be opened ({error.strerror})") from error
        if self._size < _RECORD_SIZE:
            raise self._refuse("is shorter than its header")
        _, version = _HEADER.unpack(self._bytes(0, _HEADER.size))
        if version != _VERSION:
            raise self._refuse(f"has storage version {version}, expected {_VERSION}")

    def read(self, offset: int, dtype: MilDType, count: int) -> NDArray[Any]:
        """Return the *count* elements of *dtype* whose record is at *offset*.

        Raises :class:`RefusedError` when the record is not one, is of another type or size, or leaves the file.
        """
        if offset < 0 or offset + _RECORD_SIZE > self._size:
            raise self._refuse(f"has no record at offset {offset}")
        sentinel, code, nbytes, start, _ = _RECORD.unpack(self._bytes(offset, _RECORD.size))
        if sentinel != _SENTINEL:
            raise self._refuse(f"has no record at offset {offset} (wrong sentinel)")
        if code != dtype.blob_code:
            raise self._refuse(f"stores type {code} at offset {offset}, the program expects {dtype.name}")
        if nbytes != math.ceil(count * dtype.bits / 8):
            raise self._refuse(f"stores {nbytes} bytes at offset {offset}, the program expects {count} × {dtype.name}")
        if start + nbytes > self._size or start % min(64, dtype.numpy.itemsize):
            raise self._refuse(f"points outside itself at offset {offset}")
        raw = self._bytes(start, nbytes)
        if dtype.bits < 8:
            return unpack_bits(np.frombuffer(raw, np.uint8), dtype.bits, count, signed=dtype.numpy.kind == "i")
        return np.frombuffer(raw, dtype.numpy.newbyteorder("<"))

    def _bytes(self, start: int, count: int) -> bytes:
        self._file.seek(start)
        data = self._file.read(count)
        if len(data) != count:
            raise self._refuse("became shorter while it was read")
        return data

    def _refuse(self, what: str) -> RefusedError:
        return RefusedError(
            "weights",
            f"The weight file {self._name} {what}.",
            hint="The package is damaged; export it again.",
            file=self._name,
        )
