"""SGD for a block of heads: the first layer in sample space, the others directly.

See :mod:`~headway.coreml.fleet.gram` for why the first layer, which holds nearly all weights, is never touched while
training.  The remaining layers carry their bias as one more column.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from headway.coreml.fleet.activations import activate, derive
from headway.coreml.fleet.blocks import Block, StepWeights, orders_of
from headway.coreml.fleet.gram import FirstLayer
from headway.coreml.fleet.momentum import Momentum
from headway.coreml.fleet.scores import Scores
from headway.coreml.head import HeadWeights
from headway.coreml.update.semantics import Semantics
from headway.coreml.weights import Float32

__all__ = ["train_block"]


def train_block(block: Block, semantics: Semantics, into: Sequence[HeadWeights]) -> NDArray[np.float32]:
    """Train the jobs of *block* and write their weights *into* one mapping per job.

    Returns the losses ``[epochs, jobs]`` (of the last mini-batch).
    """
    run = _Run.of(block, semantics)
    orders = orders_of(block, semantics)
    for epoch in range(block.epochs):
        if orders is not None:
            run.reorder(orders[epoch])
        for step in range(len(run.steps.last)):
            if run.steps.active[epoch, step].any():
                run.step(epoch, step)
    run.write(into)
    return run.scores.losses


@dataclass(eq=False)
class _Run:
    block: Block
    steps: StepWeights
    momentum: Momentum
    scores: Scores
    first: FirstLayer
    inner: list[Float32]  # [jobs, out, in + 1] for each layer after the first
    hidden: list[Float32]  # [jobs, batch, width + 1] with a last column of ones, for each hidden layer
    blobs: list[Float32]  # [jobs, batch, width]: working space for each hidden layer
    last: Float32  # [classes, jobs, batch]: working space for the scores

    @classmethod
    def of(cls, block: Block, semantics: Semantics) -> _Run:
        steps, momentum = StepWeights.of(block, semantics), Momentum.of(block, semantics)
        jobs, batch, widths = len(block.jobs), block.batch, block.stack.widths
        return cls(
            block,
            steps,
            momentum,
            Scores.of(block, steps, momentum),
            FirstLayer.of(block),
            [_augmented(block, layer) for layer in range(1, len(block.stack.names))],
            [np.ones((jobs, batch, width + 1), dtype=np.float32) for width in widths[1:-1]],
            [np.empty((jobs, batch, width), dtype=np.float32) for width in widths[1:-1]],
            np.empty((widths[-1], jobs, batch), dtype=np.float32),
        )

    def step(self, epoch: int, step: int) -> None:
        """One mini-batch of every job."""
        begin = step * self.block.batch
        rows = slice(begin, min(begin + self.block.batch, self.block.samples))
        size = rows.stop - rows.start
        scores = self.last[:, :, :size]
        if self.inner:
            self._forward(rows, size, scores)
        else:
            np.matmul(self.first.gram[:, rows], self.first.change, out=scores.transpose(1, 2, 0))
            scores += self.first.start[:, rows].transpose(2, 0, 1)
        gradient = self.scores.gradient(epoch, step, scores)
        self._descend(rows, gradient, size, self.steps.active[epoch, step])

    def _forward(self, rows: slice, size: int, scores: Float32) -> None:
        blob = self.blobs[0][:, :size]
        np.matmul(self.first.gram[:, rows], self.first.change, out=blob)
        blob += self.first.start[:, rows]
        for layer, activation in enumerate(self.block.stack.activations):
            if layer:
                blob = self.blobs[layer][:, :size]
                np.matmul(self.hidden[layer - 1][:, :size], self.inner[layer - 1].transpose(0, 2, 1), out=blob)
            activate(activation, blob, self.hidden[layer][:, :size, :-1])
        last = self.hidden[-1][:, :size]
        np.matmul(self.inner[-1], last.transpose(0, 2, 1), out=scores.transpose(1, 0, 2))

    def _descend(self, rows: slice, gradient: Float32, size: int, active: NDArray[np.bool_]) -> None:
        """Carry *gradient* ``[classes, jobs, batch]`` back through the layers and take one step."""
        upstream = gradient.transpose(1, 2, 0)
        for layer in range(len(self.inner) - 1, -1, -1):
            hidden, kernel = self.hidden[layer][:, :size], self.inner[layer]
            below = self.blobs[layer][:, :size]
            change = np.matmul(upstream.transpose(0, 2, 1), hidden)
            np.matmul(upstream, kernel[:, :, :-1], out=below)
            self.momentum.descend(f"inner {layer}", kernel, change, kernel, None, active)
            derive(self.block.stack.activations[layer], hidden[:, :, :-1], below)
            upstream = below
        change = self.first.change
        self.momentum.descend("change", change, upstream, change[:, rows], rows, active)

    def reorder(self, order: NDArray[np.int64]) -> None:
        """Bring the samples into the *order* of the coming epoch."""
        self.momentum.reorder("change", self.first.reorder(order))
        self.scores.order(self.block, order)

    def write(self, into: Sequence[HeadWeights]) -> None:
        """Write the trained weights of each job."""
        self.first.write(into)
        for name, values in zip(self.block.stack.names[1:], self.inner, strict=True):
            for row, one in enumerate(into):
                one[f"{name}.weights"][...] = values[row, :, :-1]
                one[f"{name}.biases"][...] = values[row, :, -1]


def _augmented(block: Block, layer: int) -> Float32:
    """Return weights and biases of *layer* as ``[jobs, out, in + 1]``."""
    kernel, bias = block.starts(layer)
    out = np.empty((len(block.jobs), kernel.shape[-2], kernel.shape[-1] + 1), dtype=np.float32)
    out[:, :, :-1] = kernel
    out[:, :, -1] = bias
    return out
