"""Whether a trained candidate may replace the head it came from: a pure verdict over measured figures.

Luck is the enemy: a handful of held-out corrections can look better by chance. The gain must therefore clear a
one-sided confidence bound over paired differences in log loss, on samples that neither training nor tuning saw.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from headway.contract.outcome import gain_bucket


@dataclass(frozen=True, slots=True)
class JudgePolicy:
    """``z`` is the bound in standard errors (1.0 is about 84 %, one-sided).

    ``golden_accuracy_loss`` is the share of golden rows that may be lost, ``golden_loss_rise`` the allowed rise of
    their mean log loss, ``min_holdout`` the fewest samples that can prove anything.
    """

    z: float = 1.0
    min_holdout: int = 8
    golden_accuracy_loss: float = 0.05
    golden_loss_rise: float = 0.1


@dataclass(frozen=True, slots=True)
class Measured:
    """One head on one set: log loss of each row (natural logarithm), and whether its label came out first."""

    losses: tuple[float, ...]
    right: tuple[bool, ...]

    @property
    def accuracy(self) -> float:
        """Share of rows with the right label first; 0 for no rows."""
        return sum(self.right) / len(self.right) if self.right else 0.0

    @property
    def loss(self) -> float:
        """Mean log loss; 0 for no rows."""
        return math.fsum(self.losses) / len(self.losses) if self.losses else 0.0


@dataclass(frozen=True, slots=True)
class Verdict:
    """``reason`` is a code, empty when accepted; ``gain`` is a bucket, ``bound`` the lower bound of the loss gain."""

    accepted: bool
    reason: str
    gain: str
    bound: float


def judge_candidate(
    before: Measured, after: Measured, golden_before: Measured, golden_after: Measured, policy: JudgePolicy
) -> Verdict:
    """Judge a candidate by the user's holdout and by the golden batch; ``before`` is what runs now."""
    gain = gain_bucket(100 * (after.accuracy - before.accuracy))
    bound = lower_bound([b - a for b, a in zip(before.losses, after.losses, strict=True)], policy.z)
    if not all(math.isfinite(x) for x in (*after.losses, *golden_after.losses)):
        return Verdict(False, "not_finite", gain, bound)
    if len(before.losses) < policy.min_holdout:
        return Verdict(False, "holdout_too_small", gain, bound)
    if golden_after.accuracy < golden_before.accuracy - policy.golden_accuracy_loss - 1e-9:
        return Verdict(False, "forgets", gain, bound)
    if golden_after.loss > golden_before.loss + policy.golden_loss_rise:
        return Verdict(False, "forgets", gain, bound)
    if after.accuracy < before.accuracy or bound <= 0:
        return Verdict(False, "no_proven_gain", gain, bound)
    return Verdict(True, "", gain, bound)


def lower_bound(differences: Sequence[float], z: float) -> float:
    """Mean minus ``z`` standard errors (minus infinity for fewer than two differences)."""
    n = len(differences)
    if n < 2:
        return -math.inf
    mean = math.fsum(differences) / n
    variance = math.fsum((d - mean) ** 2 for d in differences) / (n - 1)
    return mean - z * math.sqrt(variance / n)
