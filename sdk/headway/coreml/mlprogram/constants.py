"""Constants of a program as the translator sees them: unloaded, and where quantised, still quantised.

``array()`` gives the plain values. An :class:`Affine` also keeps its 8-bit codes, so that the int8 mode can hand
them to ONNX Runtime as they are and a quantised embedding table is dequantised row by row only; of a table of
:class:`Palette` form too only the rows that are read are looked up.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

__all__ = ["Affine", "Constant", "Dense", "Palette", "quantise_rows"]

Float32 = NDArray[np.float32]


class Constant(Protocol):
    """A constant tensor; ``array()`` computes its values anew each time, so that nothing large is kept."""

    def array(self) -> NDArray[Any]:
        """Return the values in the program's shape."""
        ...


@dataclass(frozen=True, slots=True)
class Dense:
    """A constant given by a function that loads or computes it."""

    load: Callable[[], NDArray[Any]]

    def array(self) -> NDArray[Any]:
        """Return the loaded values."""
        return self.load()


@dataclass(frozen=True, slots=True)
class Affine:
    """``scale · (codes − zero_point)``: codes int8 or uint8 of any shape, scale and zero point vectors along *axis*.

    ``half`` says that the program defines the result in float16, so each value is rounded to it.
    """

    codes: Callable[[], NDArray[Any]]
    scale: Float32
    zero_point: Float32
    axis: int
    half: bool = False

    def array(self) -> NDArray[Any]:
        """Return the dequantised values, float32."""
        codes = self.codes()
        shape = [1] * codes.ndim
        shape[self.axis] = -1
        values = codes.astype(np.float32)
        values -= self.zero_point.reshape(shape)
        values *= self.scale.reshape(shape)
        return values.astype(np.float16).astype(np.float32) if self.half else values


@dataclass(frozen=True, slots=True)
class Palette:
    """``entries[codes]``: codes uint8 of any shape, each the place of its value among at most 256 entries."""

    codes: Callable[[], NDArray[Any]]
    entries: NDArray[Any]

    def array(self) -> NDArray[Any]:
        """Return the values that were looked up."""
        values: NDArray[Any] = self.entries[self.codes()]
        return values


def quantise_rows(values: Float32) -> tuple[NDArray[np.int8], Float32]:
    """Quantise a matrix symmetrically to int8 per row; returns codes and scales with ``codes · scale ≈ values``."""
    scale = np.abs(values).max(axis=1) / np.float32(127)
    scale[scale == 0] = 1
    codes = np.rint(values / scale[:, None]).astype(np.int8)
    return codes, scale.astype(np.float32)
