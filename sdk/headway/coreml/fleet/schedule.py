"""Which samples form each step of a training, as the compiled engine takes them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from headway.coreml.update.batches import EMPTY, BatchOrder
from headway.coreml.update.plan import TrainingPlan
from headway.coreml.update.semantics import Semantics

__all__ = ["Schedule", "Schedules"]


@dataclass(frozen=True, eq=False)
class Schedule:
    """The mini-batches of an epoch: sample numbers *rows* ``[epochs, steps, batch + 1]``, of which *sizes* count.

    There is one epoch when all are alike.  *samples* is the number of samples, one more than were given when a
    mini-batch is filled up with an empty sample, which then is the last.
    """

    rows: NDArray[np.int64]
    sizes: NDArray[np.int64]
    samples: int

    @classmethod
    def of(cls, count: int, plan: TrainingPlan, semantics: Semantics) -> Schedule:
        """Lay out the mini-batches of *count* samples, which are the single engine's."""
        order = BatchOrder(count, plan, semantics, epoch_end_registered=False)
        changes = plan.shuffle and semantics.shuffle_rule != "none" and semantics.reshuffle == "every_epoch"
        epochs = [list(order.epoch(epoch)) for epoch in range(plan.epochs if changes else 1)]
        sizes = np.array([len(taken) for taken in epochs[0]], dtype=np.int64)
        rows = np.zeros((len(epochs), len(sizes), 1 + max(sizes, default=0)), dtype=np.int64)
        for epoch, steps in enumerate(epochs):
            for step, taken in enumerate(steps):
                rows[epoch, step, : len(taken)] = np.where(taken == EMPTY, count, taken)
        return cls(rows, sizes, count + bool((rows == count).any()))


class Schedules:
    """Schedules made once for all jobs that share them."""

    def __init__(self, semantics: Semantics) -> None:
        self._semantics = semantics
        self._made: dict[tuple[int, int, int, bool, int | None], Schedule] = {}

    def of(self, count: int, plan: TrainingPlan) -> Schedule:
        """Return the schedule of *count* samples under *plan*."""
        key = (count, plan.mini_batch_size, plan.epochs, plan.shuffle, plan.seed)
        if key not in self._made:
            self._made[key] = Schedule.of(count, plan, self._semantics)
        return self._made[key]
