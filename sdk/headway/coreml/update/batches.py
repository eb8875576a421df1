"""Which samples form which mini-batch: order, shuffling, and what happens to the last, smaller one."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from headway.coreml.update.plan import TrainingPlan
from headway.coreml.update.semantics import Semantics
from headway.coreml.update.shuffle import MinstdRand, shuffle

__all__ = ["EMPTY", "BatchOrder"]

EMPTY = -1
"""The index of a row that holds no sample: zeros in every array."""

Indices = NDArray[np.int64]


@dataclass
class BatchOrder:
    """The order of *samples* over the epochs of one run.

    *epoch_end_registered* tells whether the app asked for that event, on which reshuffling may depend.
    """

    samples: int
    plan: TrainingPlan
    semantics: Semantics
    epoch_end_registered: bool
    _order: list[int] = field(init=False)
    _random: MinstdRand = field(init=False)
    _buffer: list[int] = field(init=False)

    def __post_init__(self) -> None:
        self._order = list(range(self.samples))
        self._random = MinstdRand() if self.plan.seed is None else MinstdRand.seeded(self.plan.seed)
        self._buffer = [EMPTY] * self.plan.mini_batch_size

    def epoch(self, index: int) -> Iterator[Indices]:
        """Yield the sample indices of each mini-batch of epoch *index* (from 0, in turn)."""
        self.order_of(index)
        size = self.plan.mini_batch_size
        for start in range(0, self.samples, size):
            rows = self._order[start : start + size]
            if len(rows) < size:
                rows = self._filled(rows)
            self._buffer = rows + self._buffer[len(rows) :]
            if rows:
                yield np.array(rows, dtype=np.int64)

    def order_of(self, index: int) -> list[int]:
        """Return the order of the samples in epoch *index* (from 0, in turn; each may be asked for once)."""
        if self._shuffles(index):
            shuffle(self._order, self._random)
        return self._order

    def _shuffles(self, index: int) -> bool:
        if not self.plan.shuffle or self.semantics.shuffle_rule == "none":
            return False
        if index == 0 or self.semantics.reshuffle == "every_epoch":
            return True
        return self.semantics.reshuffle == "registered_epoch_end" and self.epoch_end_registered

    def _filled(self, rows: list[int]) -> list[int]:
        """Return the last, smaller mini-batch *rows* as the semantics want it."""
        missing = self.plan.mini_batch_size - len(rows)
        match self.semantics.partial_batch:
            case "keep":
                return rows
            case "drop":
                return []
            case "wrap":
                return rows + [self._order[i % self.samples] for i in range(missing)]
            case "stale":
                return rows + self._buffer[len(rows) :]
            case "zero_pad":
                return rows + [EMPTY] * missing
