"""Which layers of the student learn when: all together, or one after the other from the lowest up.

Progressive knowledge transfer (Sun et al. 2020, "MobileBERT", section 3.3): a stage for each compared layer, in which
the layers below are frozen, or learn at a small share of the rate, so that what they got wrong does not confuse the
layer above while it learns. The stages have equal length. Layers above take no part in a stage's loss.
The embedding learns with the first layer: a student of other widths cannot have the teacher's as it is.
Pure but for the names of parameters, which are those of student and matching in one list.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Literal

from headway_trainer.learning.optimiser import Stage

Transfer = Literal["joint", "progressive"]
"""All layers together, or one after the other."""

_LAYER = re.compile(r"0\.backbone\.encoder\.layer\.(\d+)\.")
_PROJECTION = re.compile(r"1\.projections\.(\d+)\.")


@dataclass(frozen=True, slots=True)
class Part:
    """One stage: the compared states `first` to `last`, 0 being the embedding, so many steps.

    `whole` is the stage in which everything learns.
    """

    first: int
    last: int
    steps: int
    whole: bool

    @property
    def compared(self) -> range:
        """The numbers of the states that count."""
        return range(self.first, self.last + 1)

    def layers(self, stride: int) -> tuple[int, int]:
        """Return the first and last layer that learns at the full rate, counted from 1."""
        return max(0, self.first - 1) * stride + 1, self.last * stride

    def stage(self, stride: int, lower_rate: float) -> Stage:
        """Return what the loop needs to know; `stride` layers of the student make one compared state."""

        def rate(name: str) -> float:
            if self.whole:
                return 1.0
            place = _place(name, stride)
            if place is None or place > self.last:
                return 0.0
            return 1.0 if place >= self.first else lower_rate

        return Stage(self.steps, rate)


def parts(transfer: Transfer, followed: int, steps: int, *, closing: bool) -> tuple[Part, ...]:
    """Return the stages of so many steps in all for a student with `followed` compared layers.

    With `closing` a progressive transfer ends in one more, in which all layers learn together.
    """
    if transfer == "joint":
        return (Part(0, followed, steps, whole=True),)
    count = followed + closing
    lengths = [steps * (number + 1) // count - steps * number // count for number in range(count)]
    layers = [
        Part(layer if layer > 1 else 0, layer, lengths[layer - 1], whole=False) for layer in range(1, followed + 1)
    ]
    return (*layers, Part(0, followed, lengths[-1], whole=True)) if closing else tuple(layers)


def _place(name: str, stride: int) -> int | None:
    """Return the compared state that a parameter helps to make, None if none."""
    if layer := _LAYER.match(name):
        return int(layer[1]) // stride + 1
    if projection := _PROJECTION.match(name):
        return int(projection[1])
    return 0 if name.startswith("0.backbone.embeddings.") else None
