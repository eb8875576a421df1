"""One-dimensional k-means: the look-up table and the indices of a palettised matrix.

Deterministic: the optimal centres of an even sample of the sorted weights, moved to a local optimum of all of them by
Lloyd's iteration. A matrix of up to the sample's size gets the optimum itself.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from coremltools._deps import kmeans1d
from numpy.typing import NDArray

Float32 = NDArray[np.float32]
Palette = tuple[Float32, NDArray[np.uint8]]
"""A table float32 [2 ** bits], ascending, and the index of each weight's nearest entry, uint8 [n]."""

_SAMPLE, _ROUNDS = 8192, 100


def palette(weight: NDArray[Any], bits: int) -> Palette:
    """Return the palette of a matrix."""
    values = np.sort(weight.reshape(-1).astype(np.float64))
    sums = np.concatenate([[0.0], np.cumsum(values)])
    centres = _start(values, 2**bits)
    for _ in range(_ROUNDS):
        cuts = np.concatenate([[0], np.searchsorted(values, _between(centres)), [len(values)]])
        counts = np.diff(cuts)
        moved = np.where(counts > 0, np.diff(sums[cuts]) / np.maximum(counts, 1), centres)
        if np.array_equal(moved, centres):
            break
        centres = moved
    table = np.sort(centres).astype(np.float32)
    indices = np.searchsorted(_between(table.astype(np.float64)), weight.reshape(-1).astype(np.float64))
    return table, indices.astype(np.uint8)


def rounded(weight: Float32, bits: int) -> Float32:
    """Return the matrix as its palette gives it back, float32, same shape."""
    table, indices = palette(weight, bits)
    return table[indices].reshape(weight.shape)


def _between(centres: NDArray[np.float64]) -> NDArray[np.float64]:
    return (centres[1:] + centres[:-1]) / 2


def _start(values: NDArray[np.float64], count: int) -> NDArray[np.float64]:
    sample = values[np.linspace(0, len(values) - 1, min(len(values), _SAMPLE)).astype(np.int64)]
    different = np.unique(sample)
    found = different if len(different) <= count else np.sort(kmeans1d.cluster(sample, count).centroids)
    return np.pad(found, (0, count - len(found)), mode="edge")
