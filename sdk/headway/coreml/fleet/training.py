"""Jobs through the compiled engine, in whichever of two forms is quicker.

*Directly*, every step moves every weight of the first layer, which holds nearly all of them.  *In sample space* it is
never touched while training: a step of SGD changes a dense layer by a combination of the samples, so after any number
of steps its weights are ``W = W₀ + Aᵀ X`` with one row of ``A`` per sample.  Training then needs only the outputs at
the start, ``X W₀ᵀ``, and the Gram matrix ``X Xᵀ``, both computed once; a bias is a feature that is always one, which
adds one to the Gram matrix.  Adam scales every weight on its own, so it has no such form.
"""

from __future__ import annotations

import numpy as np

from headway.coreml.fleet.groups import Group
from headway.coreml.fleet.jobs import FleetResult
from headway.coreml.fleet.kernels import NO_CLASS, TRAINED, address, train_group
from headway.coreml.fleet.padded import Padded
from headway.coreml.fleet.records import Rule, Samples, Trained
from headway.coreml.fleet.schedule import Schedules
from headway.coreml.fleet.shelf import Shelf
from headway.coreml.fleet.steps import ADAM, MOMENTUM, NESTEROV, PLAIN
from headway.coreml.update.errors import feature_error, update_error
from headway.coreml.update.plan import AdamPlan, TrainingPlan
from headway.coreml.update.semantics import Semantics

__all__ = ["Engine"]


class Engine:
    """Trains at most *jobs* jobs that are dense stacks; what they share is made once."""

    def __init__(self, semantics: Semantics, jobs: int) -> None:
        self._semantics, self._shelf = semantics, Shelf(jobs)
        self._schedules = Schedules(semantics)
        self._heads: dict[int, Padded] = {}

    def train(self, group: Group) -> list[FleetResult]:
        """Train the jobs of *group* in one call of compiled code; the weights of all of them share memory."""
        plan, many, stack = group.plan, len(group.places), group.stack
        schedule = self._schedules.of(group.samples, plan)
        if not len(schedule.sizes):
            error = update_error("There are too few samples for one mini-batch.", "Add samples.")
            return [FleetResult.failed(error)] * many
        head = self._head(group)
        labels = np.zeros((many, schedule.samples), dtype=np.int64)
        labels[:, : group.samples] = np.concatenate(group.labels).reshape(many, -1)
        addresses = np.array([address(features) for features in group.features], dtype=np.int64)
        rule = _rule(plan, self._semantics)
        width_in, width_out = stack.widths[:2]
        trained = Trained(
            losses=np.empty((many, plan.epochs), dtype=np.float32),
            kernels=self._shelf.take(many, width_out * width_in),
            biases=np.empty((many, width_out), dtype=np.float32),
            inner=np.empty((many, len(head.head.inner)), dtype=np.float32),
            states=np.empty(many, dtype=np.int64),
        )
        train_group(
            rule.kind != ADAM and schedule.samples <= width_in,
            Samples(addresses, group.samples, labels, schedule.rows, schedule.sizes),
            head.head,
            rule,
            trained,
        )
        rows = zip(trained.states.tolist(), trained.losses.tolist(), head.unpack(trained), strict=True)
        return [
            FleetResult(weights, tuple(losses)) if state == TRAINED else _failed(group, job, state)
            for job, (state, losses, weights) in enumerate(rows)
        ]

    def _head(self, group: Group) -> Padded:
        if id(group.model) not in self._heads:
            self._heads[id(group.model)] = Padded.of(group.stack, group.model.weights)
        return self._heads[id(group.model)]


def _rule(plan: TrainingPlan, semantics: Semantics) -> Rule:
    """Return the plan's optimizer and the semantics' loss."""
    optimizer, rate, mean = plan.optimizer, plan.learning_rate, semantics.loss_reduction == "mean"
    if isinstance(optimizer, AdamPlan):
        hat = semantics.adam_epsilon == "hat"
        return Rule(ADAM, rate, optimizer.beta1, optimizer.beta2, optimizer.eps, hat, mean)
    kind, share = PLAIN, 1.0
    if optimizer.momentum:
        kind = NESTEROV if semantics.momentum_form == "nesterov" else MOMENTUM
        share = 1 - optimizer.momentum if semantics.momentum_form == "dampened" else 1.0
    return Rule(kind, rate, optimizer.momentum, share, 0.0, False, mean)


def _failed(group: Group, job: int, state: int) -> FleetResult:
    if state == NO_CLASS:
        hint = f"Labels are 0 to {group.stack.widths[-1] - 1}."
        return FleetResult.failed(feature_error("A label is no class of the head.", hint))
    if not np.isfinite(group.features[job]).all():
        return FleetResult.failed(feature_error("The features are not finite.", "Compute them again."))
    return FleetResult.failed(update_error("The training diverged.", "Lower the learning rate."))
