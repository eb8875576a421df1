"""Adam for a block of jobs with equal steps: all parameters of a job in one row, a handful of passes per step.

The moments are kept without their factors (1 - beta), which move into one coefficient and the epsilon; that saves two
passes over every parameter and changes nothing but rounding.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from headway.coreml.fleet.activations import activate, derive
from headway.coreml.fleet.blocks import Block, StepWeights, orders_of
from headway.coreml.head import HeadWeights
from headway.coreml.neuralnetwork.pointwise import softmax
from headway.coreml.update.plan import AdamPlan
from headway.coreml.update.semantics import Semantics
from headway.coreml.weights import Float32

__all__ = ["train_block"]


def train_block(block: Block, semantics: Semantics, into: Sequence[HeadWeights]) -> NDArray[np.float32]:
    """Train the jobs of *block* and write their weights *into* one mapping per job.

    Returns the losses ``[epochs, jobs]`` (of the last mini-batch).
    """
    parameters, gradients = _Parameters.starting(block), _Parameters.empty(block)
    optimizer = _Adam.of(block, semantics, parameters.flat)
    samples = _Samples.of(block)
    steps = StepWeights.of(block, semantics)
    orders = orders_of(block, semantics)
    losses = np.full((block.epochs, len(block.jobs)), np.nan, dtype=np.float32)
    for epoch in range(block.epochs):
        ordered = samples if orders is None else samples.ordered(orders[epoch])
        for step in range(len(steps.last)):
            if not steps.active[epoch, step].any():
                continue
            rows = slice(step * block.batch, min((step + 1) * block.batch, block.samples))
            weights = steps.gradient[step][:, :, : rows.stop - rows.start]
            loss = _backpropagate(block, parameters, gradients, ordered, rows, weights)
            optimizer.descend(gradients.flat)
            losses[epoch] = loss
    parameters.write(into)
    return losses


@dataclass(frozen=True, eq=False)
class _Samples:
    features: Float32  # [jobs, n, D]
    targets: Float32  # [jobs, classes, n], one-hot

    @classmethod
    def of(cls, block: Block) -> _Samples:
        features = np.stack([job.features for job in block.jobs])
        targets = np.zeros((len(block.jobs), block.stack.widths[-1], block.samples), dtype=np.float32)
        for row, job in enumerate(block.jobs):
            targets[row, job.labels, np.arange(job.count)] = 1
        return cls(features, targets)

    def ordered(self, order: NDArray[np.int64]) -> _Samples:
        return _Samples(
            np.take_along_axis(self.features, order[:, :, None], axis=1),
            np.take_along_axis(self.targets, order[:, None, :], axis=2),
        )


@dataclass(frozen=True, eq=False)
class _Parameters:
    """All parameters of all jobs as one array ``[jobs, parameters]``, and views of it by layer."""

    flat: Float32
    kernels: list[Float32]
    biases: list[Float32]
    names: tuple[str, ...]

    @classmethod
    def empty(cls, block: Block) -> _Parameters:
        pairs = list(zip(block.stack.widths, block.stack.widths[1:], strict=False))
        flat = np.empty((len(block.jobs), sum((a + 1) * b for a, b in pairs)), dtype=np.float32)
        kernels: list[Float32] = []
        biases: list[Float32] = []
        offset = 0
        for width_in, width_out in pairs:
            size = width_in * width_out
            kernels.append(flat[:, offset : offset + size].reshape(-1, width_out, width_in))
            biases.append(flat[:, offset + size : offset + size + width_out])
            offset += size + width_out
        return cls(flat, kernels, biases, block.stack.names)

    @classmethod
    def starting(cls, block: Block) -> _Parameters:
        made = cls.empty(block)
        for layer, (kernel, bias) in enumerate(zip(made.kernels, made.biases, strict=True)):
            kernel[:], bias[:] = block.starts(layer)
        return made

    def write(self, into: Sequence[HeadWeights]) -> None:
        for name, kernel, bias in zip(self.names, self.kernels, self.biases, strict=True):
            for row, one in enumerate(into):
                one[f"{name}.weights"][...] = kernel[row]
                one[f"{name}.biases"][...] = bias[row]


def _backpropagate(
    block: Block, values: _Parameters, gradients: _Parameters, samples: _Samples, rows: slice, weights: Float32
) -> Float32:
    """Write the gradients of one mini-batch; return its loss per job."""
    blobs = [samples.features[:, rows]]
    last = len(values.kernels) - 1
    for layer, (kernel, bias) in enumerate(zip(values.kernels, values.biases, strict=True)):
        blob = np.matmul(blobs[-1], kernel.transpose(0, 2, 1))
        blob += bias[:, None, :]
        if layer < last:
            activate(block.stack.activations[layer], blob, blob)
        blobs.append(blob)
    scores = np.ascontiguousarray(blobs.pop().transpose(0, 2, 1))
    targets = samples.targets[:, :, rows]
    shifted = scores - scores.max(axis=1, keepdims=True)
    logs = np.log(np.exp(shifted).sum(axis=1)) - (shifted * targets).sum(axis=1)
    upstream = ((softmax(scores) - targets) * weights).transpose(0, 2, 1)
    for layer in range(last, -1, -1):
        np.matmul(upstream.transpose(0, 2, 1), blobs[layer], out=gradients.kernels[layer])
        np.sum(upstream, axis=1, out=gradients.biases[layer])
        if layer:
            below = np.matmul(upstream, values.kernels[layer])
            derive(block.stack.activations[layer - 1], blobs[layer], below)
            upstream = below
    loss: Float32 = (logs * weights[:, 0]).sum(axis=1)
    return loss


@dataclass(eq=False)
class _Adam:
    values: Float32
    first: Float32
    second: Float32
    work: Float32
    rates: Float32
    plan: AdamPlan
    hat: bool
    time: int = 0

    @classmethod
    def of(cls, block: Block, semantics: Semantics, values: Float32) -> _Adam:
        plan = block.jobs[0].plan.optimizer
        rates = np.array([job.plan.learning_rate for job in block.jobs], dtype=np.float32)[:, None]
        hat = semantics.adam_epsilon == "hat"
        zeros = np.zeros_like(values)
        return cls(
            values, zeros, zeros.copy(), zeros.copy(), rates, plan if isinstance(plan, AdamPlan) else AdamPlan(), hat
        )

    def descend(self, gradient: Float32) -> None:
        """Take one step; *gradient* is used as working space."""
        self.time += 1
        beta1, beta2 = self.plan.beta1, self.plan.beta2
        correction1 = 1 - beta1**self.time
        correction2 = math.sqrt(1 - beta2**self.time)
        scale = math.sqrt(1 - beta2)
        eps = self.plan.eps / scale * (1 if self.hat else correction2)
        self.first *= np.float32(beta1)
        self.first += gradient
        np.multiply(gradient, gradient, out=gradient)
        self.second *= np.float32(beta2)
        self.second += gradient
        np.sqrt(self.second, out=self.work)
        self.work += np.float32(eps)
        np.divide(self.first, self.work, out=self.work)
        self.work *= self.rates * np.float32(correction2 / correction1 * (1 - beta1) / scale)
        self.values -= self.work
