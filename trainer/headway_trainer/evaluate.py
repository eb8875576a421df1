"""Step `evaluate`: accuracy with its Wilson interval, and what the rows that went wrong were taken for."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

_NORMAL_95 = 1.959963984540054


@dataclass(frozen=True, slots=True)
class Accuracy:
    """`correct` of `rows`, with the Wilson score interval at 95 %; shares of 1."""

    correct: int
    rows: int

    @property
    def value(self) -> float:
        """Share of the rows that are right."""
        return self.correct / self.rows

    @property
    def interval(self) -> tuple[float, float]:
        """Wilson 95 % interval (Wilson 1927, J. Am. Stat. Assoc. 22, 209-212)."""
        return wilson(self.correct, self.rows)

    def to_json(self) -> dict[str, object]:
        """The facts as JSON, shares rounded to 5 digits."""
        low, high = self.interval
        return {
            "correct": self.correct,
            "rows": self.rows,
            "accuracy": round(self.value, 5),
            "wilson95": [round(low, 5), round(high, 5)],
        }

    def __str__(self) -> str:
        low, high = self.interval
        return f"{100 * self.value:.2f} % [{100 * low:.2f}, {100 * high:.2f}] of {self.rows}"


def wilson(correct: int, rows: int) -> tuple[float, float]:
    """Return the Wilson 95 % interval of `correct` out of `rows`. Raises `ValueError` unless 0 ≤ correct ≤ rows > 0."""
    if rows < 1 or not 0 <= correct <= rows:
        raise ValueError(f"{correct} of {rows} rows is no count")
    share, square = correct / rows, _NORMAL_95**2
    centre = share + square / (2 * rows)
    spread = _NORMAL_95 * math.sqrt(share * (1 - share) / rows + square / (4 * rows * rows))
    scale = 1 + square / rows
    return max(0.0, (centre - spread) / scale), min(1.0, (centre + spread) / scale)


def accuracy(chosen: Sequence[int], labels: Sequence[int]) -> Accuracy:
    """Count the rows whose chosen class is the label. Raises `ValueError` if the lengths differ."""
    if len(chosen) != len(labels):
        raise ValueError(f"{len(chosen)} choices for {len(labels)} labels")
    right = sum(int(one == other) for one, other in zip(chosen, labels, strict=True))
    return Accuracy(right, len(labels))


def mean_of(scores: Sequence[Accuracy]) -> float:
    """Return the mean share over sets, each set counted once; with one set its own share."""
    return sum(score.value for score in scores) / len(scores)


def confusion(chosen: Sequence[int], labels: Sequence[int], classes: int) -> list[list[int]]:
    """Return counts [true class][chosen class]."""
    counts = [[0] * classes for _ in range(classes)]
    for true, given in zip(labels, chosen, strict=True):
        counts[true][given] += 1
    return counts
