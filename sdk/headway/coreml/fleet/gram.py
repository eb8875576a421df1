"""The first layer of a block in sample space.

A gradient step changes a dense layer's weights by a combination of the samples, so after any number of steps they are
``W = W₀ + Aᵀ X`` with one row of ``A`` per sample.  Training then needs only the outputs at the start, ``X W₀ᵀ``, and
the Gram matrix ``X Xᵀ``, both computed once.  A bias is a feature that is always one: it adds one to the Gram matrix,
and its change is the sum of the rows of ``A``.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from headway.coreml.fleet.blocks import Block
from headway.coreml.head import HeadWeights
from headway.coreml.weights import Float32

__all__ = ["FirstLayer"]


@dataclass(eq=False)
class FirstLayer:
    """Axis 0 is the job; samples are in the order of the current epoch, padded with zeros.

    *gram* ``[jobs, n, n]``, *start* ``[jobs, n, width]``, *change* ``[jobs, n, width]``: the rows of A.
    """

    block: Block
    gram: Float32
    start: Float32
    change: Float32
    order: NDArray[np.int64] | None = None

    @classmethod
    def of(cls, block: Block) -> FirstLayer:
        """Compute both matrices from the samples of *block*."""
        jobs, n, width = len(block.jobs), block.samples, block.stack.widths[1]
        gram = np.zeros((jobs, n, n), dtype=np.float32)
        start = np.zeros((jobs, n, width), dtype=np.float32)
        kernels, biases = block.starts(0)
        for row, job in enumerate(block.jobs):
            count = job.count
            kernel, bias = _own(kernels, row, 2), _own(biases, row, 1)
            np.matmul(job.features, job.features.T, out=gram[row, :count, :count])
            np.matmul(job.features, kernel.T, out=start[row, :count])
            start[row, :count] += bias
        gram += np.float32(1)
        return cls(block, gram, start, np.zeros_like(start))

    def reorder(self, order: NDArray[np.int64]) -> NDArray[np.int64]:
        """Bring all sample axes into *order* ``[jobs, n]`` of the originals; return the move ``[jobs, n, 1]``."""
        move = order if self.order is None else np.take_along_axis(np.argsort(self.order, axis=1), order, axis=1)
        self.order = order
        rows = move[:, :, None]
        self.gram = np.take_along_axis(np.take_along_axis(self.gram, rows, axis=1), move[:, None, :], axis=2)
        self.start = np.take_along_axis(self.start, rows, axis=1)
        self.change = np.take_along_axis(self.change, rows, axis=1)
        return rows

    def write(self, into: Sequence[HeadWeights]) -> None:
        """Write the trained weights ``[width, D]`` and biases ``[width]`` of each job."""
        name = self.block.stack.names[0]
        change = self.change
        if self.order is not None:
            change = np.take_along_axis(change, np.argsort(self.order, axis=1)[:, :, None], axis=1)
        kernels, biases = self.block.starts(0)
        shift = change.sum(axis=1)
        for row, job in enumerate(self.block.jobs):
            kernel = into[row][f"{name}.weights"]
            np.matmul(change[row, : job.count].T, job.features, out=kernel)
            kernel += _own(kernels, row, 2)
            np.add(_own(biases, row, 1), shift[row], out=into[row][f"{name}.biases"])


def _own(values: Float32, row: int, rank: int) -> Float32:
    """Return the part of *values* of one job: all of it when every job shares it."""
    return values if values.ndim == rank else values[row]
