"""Whether a head on trial is good enough to confirm: a pure verdict over measured facts.

The facts are measured at the edge (:mod:`headway.device.models`) with the head's real file, the base that is really
present, and the golden batch that was signed with the head.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from headway.contract.proof import ProofPolicy


@dataclass(frozen=True, slots=True)
class ClassScore:
    """One class of the golden batch: its label, rows that truly have it, rows of those that the head found."""

    label: str
    rows: int
    found: int


@dataclass(frozen=True, slots=True)
class HealthFacts:
    """What was measured. Deviations are the largest absolute differences from the golden batch.

    ``latency_ms`` is the least time of the head alone for one row; ``head_bytes`` the size of its file.
    """

    rows: int
    finite: bool
    feature_deviation: float
    probability_deviation: float
    agreement: float
    classes: tuple[ClassScore, ...]
    head_bytes: int
    latency_ms: float


@dataclass(frozen=True, slots=True)
class HealthBudget:
    """What the facts must meet. ``class_floor`` is the least recall of a class with ``min_class_rows`` rows or more."""

    tolerances: ProofPolicy = field(default_factory=ProofPolicy)
    class_floor: float = 0.5
    min_class_rows: int = 5
    max_head_bytes: int = 8 * 2**20
    max_latency_ms: float = 25.0


@dataclass(frozen=True, slots=True)
class Healthy:
    """The head may be confirmed."""


@dataclass(frozen=True, slots=True)
class Unhealthy:
    """The head must go; ``reason`` is a code, ``message`` one sentence."""

    reason: str
    message: str


def judge_health(facts: HealthFacts, budget: HealthBudget = HealthBudget()) -> Healthy | Unhealthy:
    """Judge a head on trial; the most telling reason first."""
    tolerances = budget.tolerances
    if not facts.finite:
        return Unhealthy("not_finite", "The head gave NaN or infinity on its golden batch.")
    if facts.rows < tolerances.min_rows:
        return Unhealthy("golden_too_small", f"The golden batch has only {facts.rows} rows.")
    # "Not within" rather than "beyond": NaN, from a golden batch that holds it, is within nothing.
    if not facts.feature_deviation * 1e6 <= tolerances.max_feature_deviation_micro:
        return Unhealthy(
            "golden_features", f"Features are off by {facts.feature_deviation:.4f}: another base or tokenizer."
        )
    if not facts.probability_deviation * 1e6 <= tolerances.max_probability_deviation_micro:
        return Unhealthy("golden_probabilities", f"Probabilities are off by {facts.probability_deviation:.4f}.")
    if not facts.agreement * 10_000 >= tolerances.min_agreement_permyriad:
        return Unhealthy("golden_agreement", f"Only {facts.agreement:.1%} of the golden labels come out.")
    if facts.head_bytes > budget.max_head_bytes:
        return Unhealthy("too_large", f"The head has {facts.head_bytes} bytes.")
    if not facts.latency_ms <= budget.max_latency_ms:
        return Unhealthy("too_slow", f"One prediction takes {facts.latency_ms:.1f} ms.")
    for score in facts.classes:
        if score.rows >= budget.min_class_rows and score.found < budget.class_floor * score.rows:
            message = f"Of {score.rows} golden texts of the class {score.label}, it finds {score.found}."
            return Unhealthy("class_floor", message)
    return Healthy()
