"""What the difference of two models on the same rows is worth.

Pure. With one seed only the rows on which exactly one model is right speak: the share of them that the variant wins has
an exact binomial interval (Clopper and Pearson 1934), which holds 1/2 exactly where McNemar's exact test does not
reject. With several seeds rows and seeds are drawn again together (bootstrap), a few seeds being a small sample. An
interval that holds 0 is called what it is: not distinguishable.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

Verdict = Literal["better", "worse", "not distinguishable"]
Right = NDArray[np.bool_]
"""Whether each row was labelled rightly, bool [rows]."""

_TAIL = 0.025
_DRAWS = 4000


@dataclass(frozen=True, slots=True)
class Difference:
    """Share of rows right, variant less parent, with its 95 % interval; rows won and lost, a mean over seeds."""

    value: float
    low: float
    high: float
    won: float
    lost: float
    rows: int
    seeds: int = 1

    @property
    def verdict(self) -> Verdict:
        """What may be said of it."""
        if self.low <= 0.0 <= self.high:
            return "not distinguishable"
        return "better" if self.value > 0 else "worse"

    def to_json(self) -> dict[str, Any]:
        """The difference as JSON, in percentage points."""
        return {
            "points": round(100 * self.value, 3),
            "interval95": [round(100 * self.low, 3), round(100 * self.high, 3)],
            "won": round(self.won, 2),
            "lost": round(self.lost, 2),
            "rows": self.rows,
            "seeds": self.seeds,
            "method": "exact binomial of the discordant rows" if self.seeds == 1 else "bootstrap over rows and seeds",
            "verdict": self.verdict,
        }


def difference(parents: Sequence[Right], variants: Sequence[Right]) -> Difference:
    """Return the difference of a variant to its parent, a pair of answers for each seed.

    Raises `ValueError` unless both have as many seeds, and all as many rows.
    """
    if len(parents) != len(variants) or len({len(rows) for rows in (*parents, *variants)}) != 1:
        raise ValueError("the answers do not belong to each other")
    moves = np.stack([v.astype(np.int8) - p.astype(np.int8) for p, v in zip(parents, variants, strict=True)])
    seeds, rows = moves.shape
    won, lost = float((moves > 0).sum()) / seeds, float((moves < 0).sum()) / seeds
    low, high = _exact(int(won), int(lost), rows) if seeds == 1 else _drawn(moves)
    return Difference((won - lost) / rows, low, high, won, lost, rows, seeds)


def _exact(won: int, lost: int, rows: int) -> tuple[float, float]:
    speaking = won + lost
    if not speaking:
        return 0.0, 0.0
    low, high = clopper_pearson(won, speaking)
    return (2 * low - 1) * speaking / rows, (2 * high - 1) * speaking / rows


def clopper_pearson(successes: int, trials: int) -> tuple[float, float]:
    """Return the exact 95 % interval of a share."""
    low = 0.0 if successes == 0 else _solve(lambda p: 1 - _at_most(successes - 1, trials, p), rising=True)
    high = 1.0 if successes == trials else _solve(lambda p: _at_most(successes, trials, p), rising=False)
    return low, high


def _solve(chance: Any, *, rising: bool) -> float:
    low, high = 0.0, 1.0
    for _ in range(60):
        middle = (low + high) / 2
        if (chance(middle) < _TAIL) == rising:
            low = middle
        else:
            high = middle
    return (low + high) / 2


def _at_most(successes: int, trials: int, share: float) -> float:
    """Return the chance of so many successes or fewer."""
    if share <= 0.0 or share >= 1.0:
        return 1.0 if share <= 0.0 or successes >= trials else 0.0
    counts = range(successes + 1)
    whole = math.lgamma(trials + 1)
    terms = [
        whole
        - math.lgamma(k + 1)
        - math.lgamma(trials - k + 1)
        + k * math.log(share)
        + (trials - k) * math.log1p(-share)
        for k in counts
    ]
    return min(1.0, math.fsum(math.exp(term) for term in terms))


def _drawn(moves: NDArray[np.int8]) -> tuple[float, float]:
    seeds, rows = moves.shape
    generator = np.random.default_rng(0)
    found = np.empty(_DRAWS)
    for draw in range(_DRAWS):
        kept = moves[generator.integers(seeds, size=seeds)].sum(axis=0, dtype=np.int64)
        found[draw] = kept[generator.integers(rows, size=rows)].sum() / (seeds * rows)
    low, high = np.quantile(found, [_TAIL, 1 - _TAIL])
    return float(low), float(high)
