"""Grouping jobs into blocks of equal shape, and the order and weight of every sample at every step.

A block pads its jobs to the longest: a sample that a job does not have takes part with weight zero, which changes
nothing.  Jobs in a block share widths, activations and mini-batch size; rates, momentum, epochs, sample counts, orders
and starting weights may differ.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Hashable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from headway.coreml.fleet.jobs import Prepared, Stack
from headway.coreml.update.batches import BatchOrder
from headway.coreml.update.plan import AdamPlan
from headway.coreml.update.semantics import Semantics
from headway.coreml.weights import Float32

__all__ = ["Block", "StepWeights", "blocks_of", "orders_of"]

_CACHE_BYTES = 2_500_000  # measured: smaller blocks pay more for each call, larger ones leave the cache
_MAX_BLOCK = 64


@dataclass(frozen=True, eq=False)
class Block:
    """Jobs to be trained together; *positions* are their places in the fleet."""

    positions: tuple[int, ...]
    jobs: tuple[Prepared, ...]
    stack: Stack
    batch: int

    @cached_property
    def samples(self) -> int:
        """Samples of the longest job."""
        return max(job.count for job in self.jobs)

    @cached_property
    def epochs(self) -> int:
        """Epochs of the job that trains longest."""
        return max(job.plan.epochs for job in self.jobs)

    def per_job(self, values: Sequence[float]) -> Float32:
        """Return *values*, one per job, as ``[jobs, 1, 1]``."""
        return np.array(values, dtype=np.float32).reshape(-1, 1, 1)

    def starts(self, layer: int) -> tuple[Float32, Float32]:
        """Return the starting weights ``[out, in]`` and biases of *layer* if all jobs share them, else stacked."""
        name = self.stack.names[layer]
        models = [job.job.model for job in self.jobs]
        kernels = [model.weights[f"{name}.weights"] for model in models]
        biases = [model.weights[f"{name}.biases"] for model in models]
        if all(kernel is kernels[0] for kernel in kernels) and all(bias is biases[0] for bias in biases):
            return kernels[0], biases[0]
        return np.stack(kernels), np.stack(biases)


@dataclass(frozen=True, eq=False)
class StepWeights:
    """How much each sample of each step counts, for all jobs of a block.

    *gradient* ``[steps, jobs, 1, batch]`` is the weight of a sample in the mini-batch's loss; *active* ``[epochs,
    steps, jobs]`` tells whether a job has that step; *last* ``[steps, jobs]`` whether it is the job's last in an epoch.
    """

    gradient: Float32
    active: NDArray[np.bool_]
    last: NDArray[np.bool_]

    @classmethod
    def of(cls, block: Block, semantics: Semantics) -> StepWeights:
        """Compute them from sample counts, epochs, and how the semantics treat the last mini-batch."""
        steps = -(-block.samples // block.batch)
        starts = np.arange(steps)[:, None] * block.batch
        counts = np.clip(np.array([job.count for job in block.jobs])[None, :] - starts, 0, block.batch)
        if semantics.partial_batch == "drop":
            counts = np.where(counts < block.batch, 0, counts)
        present = np.arange(block.batch)[None, None, :] < counts[:, :, None]
        share = 1.0 if semantics.loss_reduction == "sum" else 1.0 / np.maximum(counts, 1)[:, :, None]
        here = counts > 0
        last = here & (np.cumsum(here[::-1], axis=0)[::-1] == 1)
        epochs = np.array([job.plan.epochs for job in block.jobs])
        active = here[None] & (np.arange(block.epochs)[:, None, None] < epochs[None, None, :])
        return cls((present * share).astype(np.float32)[:, :, None, :], active, last)


def blocks_of(prepared: Sequence[tuple[int, Prepared]], semantics: Semantics) -> Iterator[Block]:
    """Yield blocks that together hold all of *prepared* (position and job), jobs of similar length side by side."""
    groups: dict[Hashable, list[tuple[int, Prepared]]] = defaultdict(list)
    for position, job in prepared:
        # Adam's moments decay at every step, so its jobs must have the very same steps.
        exact = (job.count, job.plan.epochs, job.plan.optimizer) if isinstance(job.plan.optimizer, AdamPlan) else ()
        groups[(job.stack, job.plan.mini_batch_size, exact)].append((position, job))
    for members in groups.values():
        members.sort(key=lambda member: (member[1].count, member[1].plan.epochs, id(member[1].job.model), member[0]))
        size = _block_size(members[-1][1])
        for start in range(0, len(members), size):
            part = members[start : start + size]
            stack = part[0][1].stack
            if stack is not None:
                positions = tuple(position for position, _ in part)
                jobs = tuple(job for _, job in part)
                yield Block(positions, jobs, stack, jobs[0].plan.mini_batch_size)


def _block_size(job: Prepared) -> int:
    """How many jobs like *job* work within the cache."""
    stack = job.stack
    if stack is None:
        return 1
    if isinstance(job.plan.optimizer, AdamPlan):
        parameters = sum(a * b + b for a, b in zip(stack.widths, stack.widths[1:], strict=False))
        return max(1, min(8, _CACHE_BYTES // (20 * parameters)))
    inner = sum((a + 1) * b for a, b in zip(stack.widths[1:], stack.widths[2:], strict=False))
    each = 4 * (job.count * (job.count + 2 * stack.widths[1]) + 2 * inner)
    return max(1, min(_MAX_BLOCK, _CACHE_BYTES // each))


def orders_of(block: Block, semantics: Semantics) -> list[NDArray[np.int64]] | None:
    """Return the order of samples of every epoch, padded, as ``[jobs, samples]``; None when nothing shuffles."""
    shuffles = [job.plan.shuffle and semantics.shuffle_rule != "none" for job in block.jobs]
    if not any(shuffles):
        return None
    orders = [np.tile(np.arange(block.samples), (len(block.jobs), 1)) for _ in range(block.epochs)]
    for row, job in enumerate(block.jobs):
        if shuffles[row]:
            run = BatchOrder(job.count, job.plan, semantics, epoch_end_registered=False)
            for epoch in range(job.plan.epochs):
                orders[epoch][row, : job.count] = run.order_of(epoch)
    return orders
