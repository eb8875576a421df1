"""Compressed weights (``constexpr_*``), iOS 16 and iOS 18 forms, as unloaded constants.

Formulas are those in coremltools' op definitions. Decompression happens when a weight is used, one weight at a time;
only affine 8-bit forms with one scale per slice of one axis (:class:`Affine`) and look-up tables that a whole weight
shares (:class:`Palette`) stay as they are.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from headway.coreml.mlprogram.blob import unpack_bits
from headway.coreml.mlprogram.call import Call
from headway.coreml.mlprogram.constants import Affine, Constant, Dense, Palette
from headway.coreml.mlprogram.failures import broken

__all__ = ["TABLE", "Fold"]

Fold = Callable[[Call], tuple[Constant, ...]]
"""Turns one ``constexpr_*`` operation into the constants it defines, one per output."""


def _is_half(call: Call) -> bool:
    return call.state.options.precision == "float16" and call.op.outputs[-1].type.dtype.name == "fp16"


def _rounded(values: NDArray[Any], half: bool) -> NDArray[np.float32]:
    return values.astype(np.float16).astype(np.float32) if half else values.astype(np.float32, copy=False)


def _affine_dequantize(call: Call) -> tuple[Constant, ...]:
    data = call.tensor("quantized_data")
    axis = call.checked_axis(int(call.value("axis", 0)), data.rank)
    scale = call.array("scale").astype(np.float32).reshape(-1)
    zero_point = call.array("zero_point").astype(np.float32).reshape(-1)
    for name, vector in (("scale", scale), ("zero point", zero_point)):
        if vector.size not in (1, data.shape[axis]):
            raise broken(f"has a {name} of length {vector.size} for {list(data.shape)} at {call.where!r}")
    return (Affine(lambda: call.array("quantized_data"), scale, zero_point, axis, _is_half(call)),)


def _cast(call: Call) -> tuple[Constant, ...]:
    return (Dense(lambda: call.array("source_val").astype(np.float32)),)


def _target_shape(call: Call) -> tuple[tuple[int, ...], int]:
    shape = tuple(call.ints("shape"))
    if shape != call.out_shape or min(shape, default=1) < 0:
        raise broken(f"declares {list(call.out_shape)} and decompresses to {list(shape)} at {call.where!r}")
    return shape, math.prod(shape)


def _lut16(call: Call) -> tuple[Constant, ...]:
    shape, count = _target_shape(call)
    lut = call.array("lut").reshape(-1)
    bits = int(lut.size).bit_length() - 1
    if lut.size not in (2, 4, 16, 64, 256) or call.tensor("indices").shape != (math.ceil(bits * count / 8),):
        raise broken(f"has a look-up table of {lut.size} entries that does not fit its indices at {call.where!r}")
    return (Palette(lambda: unpack_bits(call.array("indices"), bits, count).reshape(shape), lut),)


def _sparse16(call: Call) -> tuple[Constant, ...]:
    shape, count = _target_shape(call)
    if call.tensor("mask").shape != (math.ceil(count / 8),):
        raise broken(f"has a mask that does not fit {list(shape)} at {call.where!r}")

    def load() -> NDArray[Any]:
        mask = unpack_bits(call.array("mask"), 1, count).astype(bool)
        return _spread(call, call.array("nonzero_data"), mask).reshape(shape)

    return (Dense(load),)


def _spread(call: Call, values: NDArray[Any], mask: NDArray[np.bool_]) -> NDArray[Any]:
    if values.ndim != 1 or values.size != np.count_nonzero(mask):
        raise broken(f"has {values.size} non-zero values for another number of mask bits at {call.where!r}")
    dense = np.zeros(mask.shape, values.dtype)
    dense[mask] = values
    return dense


def _sparse18(call: Call) -> tuple[Constant, ...]:
    return (Dense(lambda: _spread(call, call.array("nonzero_data"), call.array("mask") != 0)),)


def _lut18(call: Call) -> tuple[Constant, ...]:
    lut = call.tensor("lut").shape
    _check_lut(call, call.tensor("indices").shape, lut)
    if math.prod(lut) != lut[-2]:
        return (Dense(lambda: _looked_up(call, call.array("indices"))),)
    return (Palette(lambda: _places(call, call.array("indices"), lut[-2]), call.array("lut").reshape(-1)),)


def _check_lut(call: Call, indices: tuple[int, ...], lut: tuple[int, ...]) -> None:
    fits = len(lut) == len(indices) + 2 and 1 <= lut[-2] <= 256
    if not fits or any(b < 1 or a % b for a, b in zip(indices, lut, strict=False)):
        raise broken(f"has a look-up table {list(lut)} that does not fit {list(indices)} at {call.where!r}")


def _places(call: Call, indices: NDArray[Any], entries: int) -> NDArray[Any]:
    if indices.size and int(indices.max()) >= entries:
        raise broken(f"reads past its look-up table at {call.where!r}")
    return indices


def _looked_up(call: Call, indices: NDArray[Any]) -> NDArray[Any]:
    """Each block of *indices* reads its own table; vectors of a table are laid out along ``vector_axis``."""
    lut = call.array("lut")
    entries, width = lut.shape[-2:]
    indices = _places(call, indices, entries)
    table = np.arange(math.prod(lut.shape[:-2])).reshape(lut.shape[:-2])
    which = _stretched(table, indices.shape)
    vectors: NDArray[Any] = lut.reshape(-1, entries, width)[which, indices]
    if width == 1:
        return vectors[..., 0]
    axis = call.checked_axis(int(call.value("vector_axis", -1)), indices.ndim)
    moved = np.moveaxis(vectors, -1, axis + 1)
    shape = list(indices.shape)
    shape[axis] *= width
    return moved.reshape(shape)


def _stretched(values: NDArray[Any], shape: tuple[int, ...]) -> NDArray[Any]:
    """Repeat each element of *values* over its block so that the result has *shape*."""
    for axis, size in enumerate(shape):
        if values.shape[axis] != size:
            values = np.repeat(values, size // values.shape[axis], axis)
    return values


def _check_blocks(call: Call, data: tuple[int, ...]) -> None:
    for key in ("scale", "offset"):
        blocks = call.tensor(key).shape if call.has(key) else (1,) * len(data)
        if len(blocks) != len(data) or any(b < 1 or a % b for a, b in zip(data, blocks, strict=True)):
            raise broken(f"has a {key} {list(blocks)} that does not divide {list(data)} at {call.where!r}")


def _shifted_scaled(call: Call, data: NDArray[Any]) -> NDArray[np.float32]:
    values = data.astype(np.float32)
    if call.has("offset"):
        values -= _stretched(call.array("offset").astype(np.float32), data.shape)
    values *= _stretched(call.array("scale").astype(np.float32), data.shape)
    return _rounded(values, _is_half(call))


def _shift_scale(call: Call) -> tuple[Constant, ...]:
    data = call.tensor("data")
    _check_blocks(call, data.shape)
    varying = [axis for axis, size in enumerate(call.tensor("scale").shape) if size > 1]
    axis = varying[0] if varying else 0
    whole = len(varying) <= 1 and all(call.tensor("scale").shape[a] == data.shape[a] for a in varying)
    if not whole or data.type.dtype.numpy.kind not in "iu":
        return (Dense(lambda: _shifted_scaled(call, call.array("data"))),)
    scale = call.array("scale").astype(np.float32).reshape(-1)
    offset = call.array("offset").astype(np.float32).reshape(-1) if call.has("offset") else np.zeros(1, np.float32)
    return (Affine(lambda: call.array("data"), scale, offset, axis, _is_half(call)),)


def _lut_to_sparse(call: Call) -> tuple[Constant, ...]:
    mask_shape = call.tensor("indices_mask").shape
    _check_lut(call, mask_shape, call.tensor("lut").shape)

    def mask() -> NDArray[Any]:
        own = call.array("indices_mask")
        if not call.has("vector_axis"):
            return own
        axis = call.checked_axis(int(call.value("vector_axis", -1)), own.ndim)
        return np.repeat(own, call.tensor("lut").shape[-1], axis=axis)

    def values() -> NDArray[Any]:
        own = call.array("indices_mask") != 0
        dense = _looked_up(call, _spread(call, call.array("indices_nonzero_data"), own))
        kept: NDArray[Any] = dense[mask() != 0]
        return kept

    return (Dense(mask), Dense(values))


def _sparse_shift_scale(call: Call) -> tuple[Constant, ...]:
    _check_blocks(call, call.tensor("data_mask").shape)

    def values() -> NDArray[Any]:
        mask = call.array("data_mask") != 0
        kept: NDArray[Any] = _shifted_scaled(call, _spread(call, call.array("nonzero_data"), mask))[mask]
        return kept

    return (Dense(lambda: call.array("data_mask")), Dense(values))


def _lut(call: Call) -> tuple[Constant, ...]:
    return _lut16(call) if call.has("shape") else _lut18(call)


def _sparse(call: Call) -> tuple[Constant, ...]:
    return _sparse16(call) if call.has("shape") else _sparse18(call)


TABLE: dict[str, Fold] = {
    "constexpr_affine_dequantize": _affine_dequantize,
    "constexpr_cast": _cast,
    "constexpr_lut_to_dense": _lut,
    "constexpr_sparse_to_dense": _sparse,
    "constexpr_blockwise_shift_scale": _shift_scale,
    "constexpr_lut_to_sparse": _lut_to_sparse,
    "constexpr_sparse_blockwise_shift_scale": _sparse_shift_scale,
}
