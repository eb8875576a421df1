"""The few statistics a report needs, written out so that a reader can check them."""

from __future__ import annotations

import math

from headway.fleet.report.model import Personalisation, Share

Z95 = 1.959963984540054
"""Two-sided 95 % quantile of the normal distribution."""


def wilson(share: Share, z: float = Z95) -> tuple[float, float]:
    """Wilson's score interval for a share; ``(0, 1)`` for an empty whole.

    Source: E. B. Wilson, "Probable inference, the law of succession, and statistical inference", JASA 22 (1927).
    """
    n = share.n
    if n == 0:
        return 0.0, 1.0
    p = share.value
    centre = (p + z * z / (2 * n)) / (1 + z * z / n)
    half = z * math.sqrt(p * (1 - p) / n + z * z / (4 * n * n)) / (1 + z * z / n)
    return max(0.0, centre - half), min(1.0, centre + half)


def sign_test(fixed: int, broken: int) -> float:
    """Exact two-sided McNemar test: how likely so unequal a split is, were either direction equally likely."""
    n = fixed + broken
    if n == 0:
        return 1.0
    tail = sum(math.comb(n, k) for k in range(min(fixed, broken) + 1))
    return min(1.0, 2 * tail / (1 << n))


def paired_interval(fixed: int, broken: int, n: int, z: float = Z95) -> tuple[float, float]:
    """95 % interval of a paired difference of two accuracies on the same ``n`` texts.

    Wald with the adjustment of Agresti and Min (Statistics in Medicine 24, 2005): half a count added to each cell.
    """
    if n == 0:
        return -1.0, 1.0
    b, c, total = fixed + 0.5, broken + 0.5, n + 2
    gain = (b - c) / total
    half = z * math.sqrt(max(0.0, b + c - (b - c) ** 2 / total)) / total
    return max(-1.0, gain - half), min(1.0, gain + half)


def total(shares: list[Share]) -> Share:
    """All shares together."""
    return Share(sum(share.correct for share in shares), sum(share.n for share in shares))


class Pooled:
    """The personalisations of a group of devices taken together.

    ``gain`` is a fraction (0.01 is one percentage point); ``low`` and ``high`` bound it at 95 %, ``p`` is the exact
    test. Devices count by their texts, so the interval says nothing about devices not in the run.
    """

    def __init__(self, results: list[Personalisation]) -> None:
        self.devices = len(results)
        self.accepted = sum(result.accepted for result in results)
        self.before = total([result.before for result in results])
        self.after = total([result.after for result in results])
        self.golden_before = total([result.golden_before for result in results])
        self.golden_after = total([result.golden_after for result in results])
        self.general_before = total([result.general_before for result in results])
        self.general_after = total([result.general_after for result in results])
        self.fixed = sum(result.fixed for result in results)
        self.broken = sum(result.broken for result in results)
        self.gain = self.after.value - self.before.value
        self.low, self.high = paired_interval(self.fixed, self.broken, self.before.n)
        self.p = sign_test(self.fixed, self.broken)
