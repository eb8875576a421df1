"""The end of the network for a block: scores to probabilities, gradient and loss, with the class axis first.

Scores of one step are ``[classes, jobs, batch]``: sums over classes then run along whole rows of memory, which is what
makes ten classes and ten samples worth a vector instruction.  All work happens in buffers made once.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from headway.coreml.fleet.blocks import Block, StepWeights
from headway.coreml.fleet.momentum import Momentum
from headway.coreml.weights import Float32

__all__ = ["Scores"]


@dataclass(eq=False)
class Scores:
    """Targets, weights and losses of a block; *targets* holds one-hot ``[classes, jobs, batch]`` per step."""

    steps: StepWeights
    momentum: Momentum
    batch: int
    targets: list[Float32]
    losses: NDArray[np.float32]
    _factors: list[Float32] = field(default_factory=list)

    @classmethod
    def of(cls, block: Block, steps: StepWeights, momentum: Momentum) -> Scores:
        """Prepare the labels of *block* in their original order."""
        losses = np.full((block.epochs, len(block.jobs)), np.nan, dtype=np.float32)
        made = cls(steps, momentum, block.batch, [], losses)
        made._factors = [momentum.weigh(weights)[:, 0] for weights in steps.gradient]
        made.order(block, None)
        return made

    def order(self, block: Block, order: NDArray[np.int64] | None) -> None:
        """Lay the targets out for the order of samples ``[jobs, n]``."""
        jobs, classes, n = len(block.jobs), block.stack.widths[-1], block.samples
        hot = np.zeros((classes, jobs, n), dtype=np.float32)
        for row, job in enumerate(block.jobs):
            labels = job.labels if order is None else job.labels[order[row, : job.count]]
            hot[labels, row, np.arange(job.count)] = 1
        self.targets = [np.ascontiguousarray(hot[:, :, at : at + self.batch]) for at in range(0, n, self.batch)]

    def gradient(self, epoch: int, step: int, scores: Float32) -> Float32:
        """Turn *scores* ``[classes, jobs, batch]`` in place into the gradient of the loss by them.

        Without momentum it is already multiplied by each job's learning rate; it is zero for samples and jobs that do
        not take part.
        """
        size = scores.shape[2]
        active = self.steps.active[epoch, step]
        last = self.steps.last[step] & active
        scores -= scores.max(axis=0)
        shifted = scores.copy() if last.any() else None
        np.exp(scores, out=scores)
        total = scores.sum(axis=0)
        targets = self.targets[step]
        if shifted is not None:
            logs = np.log(total) - (shifted * targets).sum(axis=0)
            weights = self.steps.gradient[step][:, 0, :size]
            self.losses[epoch, last] = (logs * weights).sum(axis=1)[last]
        scores /= total
        scores -= targets
        scores *= self._factors[step][:, :size]
        if not active.all():
            scores *= active[:, None]
        return scores
