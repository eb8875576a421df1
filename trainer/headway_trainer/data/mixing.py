"""Training rows of several sets in one numbering, and batches that each come from one set.

How often a set is asked is `weight · rows ** (1 / temperature)`: 1 is by size, higher evens the sets out. A round
has as many batches as all sets together, or as many as are asked for; a set that is through starts over. With one set
and no other wish this is its plain epochs.
The order depends on the seed alone.
"""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from headway_trainer.data.batches import epoch_batches
from headway_trainer.data.examples import Examples, joined

Scored = tuple[Examples, slice]
"""Rows of one set with labels counted within it, and the set's columns of the joint classifier."""


@dataclass(frozen=True, slots=True)
class Mixture:
    """Rows of all sets, labels counted within each; `sets[i]` is the set of row i, `spans` their classifier columns."""

    rows: Examples
    sets: Sequence[int]
    spans: Sequence[slice]
    temperature: float = 1.0
    weights: Sequence[float] = ()

    @classmethod
    def of(cls, parts: Sequence[Scored], temperature: float = 1.0, weights: Sequence[float] = ()) -> Mixture:
        """Number the rows of all parts in order; `weights` has one for each, all 1 if it is not given."""
        sets = [index for index, (rows, _) in enumerate(parts) for _ in rows.labels]
        return cls(joined(*(rows for rows, _ in parts)), sets, [span for _, span in parts], temperature, weights)

    def span(self, rows: Sequence[int]) -> slice:
        """Return the classifier columns of the set that a batch comes from."""
        return self.spans[self.sets[rows[0]]]

    def rounds(self, batch_size: int, epochs: int, seed: int, round_steps: int = 0) -> list[list[list[int]]]:
        """Return the batches of each epoch: `round_steps` of them, or with 0 as many as all sets have."""
        groups = [[row for row, of in enumerate(self.sets) if of == index] for index in range(len(self.spans))]
        lengths = self.rows.lengths
        streams = [_endless(group, [lengths[row] for row in group], batch_size, seed) for group in groups]
        asked = self.weights or [1.0] * len(groups)
        weights = [of * len(group) ** (1 / self.temperature) for of, group in zip(asked, groups, strict=True)]
        batches = round_steps or sum(-(-len(group) // batch_size) for group in groups)
        generator = random.Random(f"{seed}:sets")
        order = range(len(groups))
        return [[next(streams[k]) for k in generator.choices(order, weights, k=batches)] for _ in range(epochs)]


def _endless(group: Sequence[int], lengths: Sequence[int], batch_size: int, seed: int) -> Iterator[list[int]]:
    epoch = 0
    while True:
        for rows in epoch_batches(lengths, batch_size, seed, epoch):
            yield [group[row] for row in rows]
        epoch += 1
