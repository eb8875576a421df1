"""Jobs through the compiled engine, in whichever form is quickest and gives what the single engine gives.

*Directly*, every step moves every weight of the first layer, which holds nearly all of them.  *In sample space* it is
never touched while training: a step of SGD changes a dense layer by a combination of the samples, so after any number
of steps its weights are ``W = W₀ + Aᵀ X`` with one row of ``A`` per sample.  Training then needs only the outputs at
the start, ``X W₀ᵀ``, and the Gram matrix ``X Xᵀ``, both computed once; a bias is a feature that is always one, which
adds one to the Gram matrix.  Adam scales every weight on its own, so it has no such form.

The single engine computes in float64, this one in float32 wherever that gives the same head.  Adam divides a gradient
by the root of those before it, so at the beginning it makes rounding larger, and no more once there are some: its first
epoch is computed in float64.  What rounding may still decide is whether a unit at the kink of a ReLU opens.  A head
that had such a unit is trained again in float64 from the start, and so is one that float32 could not hold, or in which
a unit of Adam's had its first gradient later on.  Over very many steps float32 drifts: such a training is float64 too.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from headway.coreml.fleet.groups import Group
from headway.coreml.fleet.jobs import FleetResult
from headway.coreml.fleet.kernels import NO_CLASS, TRAINED, address, train_group
from headway.coreml.fleet.padded import Padded
from headway.coreml.fleet.records import Rule, Samples, Span, Trained
from headway.coreml.fleet.schedule import Schedules
from headway.coreml.fleet.shelf import Shelf
from headway.coreml.fleet.steps import ADAM, MOMENTUM, NESTEROV, PLAIN
from headway.coreml.update.errors import feature_error, update_error
from headway.coreml.update.plan import AdamPlan, TrainingPlan
from headway.coreml.update.semantics import Semantics

__all__ = ["Engine"]

_KINK = 1.5e-7
"""How near to zero the input of a ReLU may come in float32, as a part of the largest; see docs/adr/0017."""
_LEAST = 1e-11
"""With a smaller epsilon of Adam's, roots that float32 rounds to zero would count."""
_LONGEST = 300
"""Steps in float32: after 250 the worst of 128 heads was 6e-6 of a weight from float64, after 500 9e-6."""
_BETWEEN = 1 << 23
"""Bytes for the weights and moments of jobs between two types of numbers: they stay in a cache."""

Number = type[np.floating[Any]]


class Engine:
    """Trains at most *jobs* jobs that are dense stacks; what they share is made once."""

    def __init__(self, semantics: Semantics, jobs: int) -> None:
        self._semantics, self._shelf = semantics, Shelf(jobs)
        self._schedules = Schedules(semantics)
        self._heads: dict[tuple[int, Number], Padded] = {}

    def train(self, group: Group) -> list[FleetResult]:
        """Train the jobs of *group* in few calls of compiled code; the weights of all of them share memory."""
        many, plan = len(group.places), group.plan
        steps = len(self._schedules.of(group.samples, plan).sizes)
        if not steps:
            error = update_error("There are too few samples for one mini-batch.", "Add samples.")
            return [FleetResult.failed(error)] * many
        rule = _rule(plan, self._semantics)
        found: list[FleetResult | None] = [None] * many
        short = plan.epochs * steps <= _LONGEST
        if short and rule.kind != ADAM:
            found = self._train(group, rule, [np.float32])
        elif short and plan.epochs > 1 and rule.eps >= _LEAST:
            step = max(1, _BETWEEN // (12 * self._head(group, np.float32).size))
            parts = (group.part(range(job, min(job + step, many))) for job in range(0, many, step))
            found = [result for part in parts for result in self._train(part, rule, [np.float64, np.float32])]
        again = [job for job, result in enumerate(found) if result is None]
        if again:
            exact = self._train(group.part(again), rule._replace(kink=0.0), [np.float64])
            for job, result in zip(again, exact, strict=True):
                found[job] = result
        diverged = update_error("The training diverged.", "Lower the learning rate.")
        return [result or FleetResult.failed(diverged) for result in found]

    def _train(self, group: Group, rule: Rule, numbers: Sequence[Number]) -> list[FleetResult | None]:
        """Train in the last of *numbers*, the first epoch in the first of them; None for what may end otherwise."""
        plan, many, (width_in, width_out) = group.plan, len(group.places), group.stack.widths[:2]
        schedule, heads = self._schedules.of(group.samples, plan), [self._head(group, number) for number in numbers]
        labels = np.zeros((many, schedule.samples), dtype=np.int64)
        labels[:, : group.samples] = np.concatenate(group.labels).reshape(many, -1)
        addresses = np.array([address(features) for features in group.features], dtype=np.int64)
        samples = Samples(addresses, group.samples, labels, schedule.rows, schedule.sizes)
        trained = Trained(
            losses=np.empty((many, plan.epochs), dtype=np.float32),
            kernels=self._shelf.take(many, width_out * width_in),
            biases=np.empty((many, width_out), dtype=np.float32),
            inner=np.empty((many, len(heads[0].head.inner)), dtype=np.float32),
            states=np.empty(many, dtype=np.int64),
        )
        between = [np.empty((many, heads[0].size if len(heads) > 1 else 0), dtype=np.float32) for _ in range(3)]
        ends = [0, *range(1, len(heads)), plan.epochs]
        for head, begin, end in zip(heads, ends, ends[1:], strict=False):
            span = Span(begin, end, end == plan.epochs, *between)
            sampled = rule.kind != ADAM and schedule.samples <= width_in
            # in float64 both engines open the same units
            train_group(sampled, samples, head.head, rule if span.ends else rule._replace(kink=0.0), span, trained)
        rows = zip(trained.states.tolist(), trained.losses.tolist(), heads[0].unpack(trained), strict=True)
        return [
            FleetResult(weights, tuple(losses)) if state == TRAINED else _failure(group, job, state)
            for job, (state, losses, weights) in enumerate(rows)
        ]

    def _head(self, group: Group, number: Number) -> Padded:
        key = id(group.model), number
        if key not in self._heads:
            self._heads[key] = Padded.of(group.stack, group.model.weights, number)
        return self._heads[key]


def _rule(plan: TrainingPlan, semantics: Semantics) -> Rule:
    """Return the plan's optimizer and the semantics' loss."""
    optimizer, rate, mean = plan.optimizer, plan.learning_rate, semantics.loss_reduction == "mean"
    if isinstance(optimizer, AdamPlan):
        hat = semantics.adam_epsilon == "hat"
        return Rule(ADAM, rate, optimizer.beta1, optimizer.beta2, optimizer.eps, hat, mean, _KINK)
    kind, share = PLAIN, 1.0
    if optimizer.momentum:
        kind = NESTEROV if semantics.momentum_form == "nesterov" else MOMENTUM
        share = 1 - optimizer.momentum if semantics.momentum_form == "dampened" else 1.0
    return Rule(kind, rate, optimizer.momentum, share, 0.0, False, mean, _KINK)


def _failure(group: Group, job: int, state: int) -> FleetResult | None:
    """Return the error that the samples of a job are, or None where they are none."""
    if state == NO_CLASS:
        hint = f"Labels are 0 to {group.stack.widths[-1] - 1}."
        return FleetResult.failed(feature_error("A label is no class of the head.", hint))
    if not np.isfinite(group.features[job]).all():
        return FleetResult.failed(feature_error("The features are not finite.", "Compute them again."))
    return None
