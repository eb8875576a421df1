"""SGD in sample space: the first layer's weights are never touched while training.

A gradient step changes a dense layer's weights by a combination of the samples, so after any number of steps they are
``W = W₀ + Aᵀ X`` with one row of ``A`` per sample.  Training needs only ``X W₀ᵀ`` and the Gram matrix ``X Xᵀ``, both
computed once; a step then costs a product with the Gram matrix (samples × width) instead of two with the features.  A
bias is a feature that is always one: it adds one to the Gram matrix.  The remaining layers are small and trained
directly, with the bias as one more column.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from headway.coreml.fleet.activations import activate, derive
from headway.coreml.fleet.blocks import Block, StepWeights, orders_of
from headway.coreml.fleet.momentum import Momentum
from headway.coreml.head import HeadWeights
from headway.coreml.neuralnetwork.pointwise import softmax
from headway.coreml.update.semantics import Semantics
from headway.coreml.weights import Float32

__all__ = ["train_block"]


def train_block(block: Block, semantics: Semantics) -> tuple[list[HeadWeights], NDArray[np.float32]]:
    """Train the jobs of *block*; return their weights and the losses ``[epochs, jobs]`` (of the last mini-batch)."""
    run = _Run.of(block, semantics)
    for epoch in range(block.epochs):
        run.epoch(epoch)
    return run.weights(), run.losses


@dataclass(eq=False)
class _Run:
    """The arrays of one block; axis 0 is the job everywhere, samples are in the order of the current epoch."""

    block: Block
    steps: StepWeights
    momentum: Momentum
    orders: list[NDArray[np.int64]] | None
    features: Float32  # [jobs, n, D]
    gram: Float32  # [jobs, n, n], plus one for the bias
    start: Float32  # [jobs, n, H]: outputs of the first layer at the start
    targets: Float32  # [jobs, classes, n], one-hot
    change: Float32  # [jobs, n, H]: the rows of A
    inner: list[Float32]  # [jobs, out, in + 1] for each layer after the first
    losses: NDArray[np.float32]
    current: NDArray[np.int64] | None = None
    buffers: list[Float32] = field(default_factory=list)

    @classmethod
    def of(cls, block: Block, semantics: Semantics) -> _Run:
        jobs, n = len(block.jobs), block.samples
        widths = block.stack.widths
        features = np.zeros((jobs, n, widths[0]), dtype=np.float32)
        targets = np.zeros((jobs, widths[-1], n), dtype=np.float32)
        for row, job in enumerate(block.jobs):
            features[row, : job.count] = job.features
            targets[row, job.labels, np.arange(job.count)] = 1
        gram = np.matmul(features, features.transpose(0, 2, 1))
        gram += np.float32(1)
        return cls(
            block,
            StepWeights.of(block, semantics),
            Momentum.of(block, semantics),
            orders_of(block, semantics),
            features,
            gram,
            _first_outputs(block, features),
            targets,
            np.zeros((jobs, n, widths[1]), dtype=np.float32),
            [_augmented(block, layer) for layer in range(1, len(block.stack.names))],
            np.full((block.epochs, jobs), np.nan, dtype=np.float32),
            buffers=[np.ones((jobs, block.batch, width + 1), dtype=np.float32) for width in widths[1:-1]],
        )

    def epoch(self, index: int) -> None:
        """Train one epoch of every job that still has one."""
        if self.orders is not None:
            self._reorder(self.orders[index])
        for step in range(len(self.steps.last)):
            if self.steps.active[index, step].any():
                self._step(index, step)

    def _step(self, epoch: int, step: int) -> None:
        first = step * self.block.batch
        rows = slice(first, min(first + self.block.batch, self.block.samples))
        size = rows.stop - rows.start
        blob = np.matmul(self.gram[:, rows], self.change)
        blob += self.start[:, rows]
        saved = []
        for layer, activation in enumerate(self.block.stack.activations):
            hidden = self.buffers[layer][:, :size]
            activate(activation, blob, hidden[:, :, :-1])
            saved.append(hidden)
            if layer < len(self.inner) - 1:
                blob = np.matmul(hidden, self.inner[layer].transpose(0, 2, 1))
        if self.inner:
            scores = np.matmul(self.inner[-1], saved[-1].transpose(0, 2, 1))
        else:
            scores = np.ascontiguousarray(blob.transpose(0, 2, 1))
        active = self.steps.active[epoch, step]
        weights = self.steps.gradient[step][:, :, :size]
        if self.steps.last[step].any():
            self._note_loss(epoch, self.steps.last[step] & active, scores, rows, weights)
        gradient = softmax(scores)
        gradient -= self.targets[:, :, rows]
        self._descend(rows, gradient * self.momentum.weigh(weights, active), saved, active)

    def _descend(self, rows: slice, gradient: Float32, saved: list[Float32], active: NDArray[np.bool_]) -> None:
        """Carry *gradient* ``[jobs, classes, batch]`` back through the layers and take one step."""
        upstream = gradient.transpose(0, 2, 1)
        for layer in range(len(self.inner) - 1, -1, -1):
            hidden = saved[layer]
            below = np.matmul(upstream, self.inner[layer][:, :, :-1])
            change = np.matmul(upstream.transpose(0, 2, 1), hidden)
            self.momentum.descend(f"inner {layer}", self.inner[layer], change, None, active)
            derive(self.block.stack.activations[layer], hidden[:, :, :-1], below)
            upstream = below
        self.momentum.descend("change", self.change, upstream, rows, active)

    def _note_loss(self, epoch: int, jobs: NDArray[np.bool_], scores: Float32, rows: slice, weights: Float32) -> None:
        shifted = scores - scores.max(axis=1, keepdims=True)
        logs = np.log(np.exp(shifted).sum(axis=1)) - (shifted * self.targets[:, :, rows]).sum(axis=1)
        losses = (logs * weights[:, 0]).sum(axis=1)
        self.losses[epoch, jobs] = losses[jobs]

    def _reorder(self, order: NDArray[np.int64]) -> None:
        """Bring all sample axes into *order* ``[jobs, n]`` (indices of the original samples)."""
        if self.current is None:
            move = order
        else:
            move = np.take_along_axis(np.argsort(self.current, axis=1), order, axis=1)
        self.current = order
        rows, columns = move[:, :, None], move[:, None, :]
        self.gram = np.take_along_axis(np.take_along_axis(self.gram, rows, axis=1), columns, axis=2)
        self.start = np.take_along_axis(self.start, rows, axis=1)
        self.change = np.take_along_axis(self.change, rows, axis=1)
        self.targets = np.take_along_axis(self.targets, columns, axis=2)
        self.momentum.reorder("change", rows)

    def weights(self) -> list[HeadWeights]:
        """Return the trained weights of each job."""
        change = self.change
        if self.current is not None:
            change = np.take_along_axis(change, np.argsort(self.current, axis=1)[:, :, None], axis=1)
        kernel, bias = self.block.starts(0)
        first = np.matmul(change.transpose(0, 2, 1), self.features)
        first += kernel
        first_bias = bias + change.sum(axis=1)
        names = self.block.stack.names
        found: list[HeadWeights] = []
        for row in range(len(self.block.jobs)):
            one: HeadWeights = {f"{names[0]}.weights": first[row], f"{names[0]}.biases": first_bias[row]}
            for name, values in zip(names[1:], self.inner, strict=True):
                one[f"{name}.weights"] = np.ascontiguousarray(values[row, :, :-1])
                one[f"{name}.biases"] = values[row, :, -1].copy()
            found.append(one)
        return found


def _first_outputs(block: Block, features: Float32) -> Float32:
    """Return the outputs of the first layer for all samples; one big product when all jobs start from one head."""
    kernel, bias = block.starts(0)
    if kernel.ndim == 2:
        jobs, n, width = features.shape
        out = (features.reshape(-1, width) @ kernel.T).reshape(jobs, n, -1)
    else:
        out = np.matmul(features, kernel.transpose(0, 2, 1))
    out += bias if bias.ndim == 1 else bias[:, None, :]
    return out


def _augmented(block: Block, layer: int) -> Float32:
    """Return weights and biases of *layer* as ``[jobs, out, in + 1]``."""
    kernel, bias = block.starts(layer)
    out = np.empty((len(block.jobs), kernel.shape[-2], kernel.shape[-1] + 1), dtype=np.float32)
    out[:, :, :-1] = kernel
    out[:, :, -1] = bias
    return out
