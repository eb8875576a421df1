"""A night's training on one phone, measured from outside: before and after, on text the training never saw.

The device judges for itself by its own small holdout. What is measured here is what that judgement was worth: on the
person's other dialogues, on the release's golden batch, and on dialogues that belong to nobody.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from headway.device.results import TrainingResult
from headway.fleet.phone import Phone
from headway.fleet.report.model import Personalisation, Share

Texts = Sequence[tuple[Any, str]]
"""(text, or its features float32 ``[D]``; true label)."""


@dataclass(frozen=True, slots=True)
class Yardstick:
    """What every phone is measured on: golden batches by release, and common texts."""

    golden: dict[int, Texts]
    general: Texts


@dataclass(frozen=True, slots=True)
class Measured:
    """Which texts a phone gets right, set by set."""

    held_out: list[bool]
    golden: list[bool]
    general: list[bool]


def measure(phone: Phone, yardstick: Yardstick) -> Measured:
    """Ask the phone, as it is now, about every set."""
    held_out = [(u.text, u.label) for u in phone.user.held_out]
    golden = yardstick.golden.get(phone.release, ())
    return Measured(phone.right(held_out), phone.right(golden), phone.right(yardstick.general))


def train_tonight(phone: Phone, yardstick: Yardstick) -> Personalisation | None:
    """Let the phone do its night's work and measure it; None if nothing was due."""
    kind = "rebased" if phone.device.status().rebase_due is not None else "personalised"
    before, samples = measure(phone, yardstick), phone.device.status().corrections
    result = phone.work()
    if result is None or result.status == "not_now":
        return None
    if kind == "personalised":
        phone.log_training("personalised" if result.status == "accepted" else "kept", result)
    after = measure(phone, yardstick) if result.status == "accepted" else before
    return _summed_up(phone, kind, samples, result, before, after)


def _summed_up(
    phone: Phone, kind: str, samples: int, result: TrainingResult, before: Measured, after: Measured
) -> Personalisation:
    pairs = list(zip(before.held_out, after.held_out, strict=True))
    return Personalisation(
        kind=kind,
        release=phone.release,
        generation=phone.device.status().generation,
        accepted=result.status == "accepted",
        code="accepted" if result.status == "accepted" else result.reason or result.status,
        samples=samples,
        before=_share(before.held_out),
        after=_share(after.held_out),
        fixed=sum(now and not then for then, now in pairs),
        broken=sum(then and not now for then, now in pairs),
        golden_before=_share(before.golden),
        golden_after=_share(after.golden),
        general_before=_share(before.general),
        general_after=_share(after.general),
        by_label=dict(sorted(Counter(label for _, label in phone.user.corrections).items())),
    )


def _share(right: list[bool]) -> Share:
    return Share(sum(right), len(right))
