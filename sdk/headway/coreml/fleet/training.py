"""Jobs through the compiled engine, in whichever of two forms is quicker.

*Directly*, every step moves every weight of the first layer, which holds nearly all of them.  *In sample space* it is
never touched while training: a step of SGD changes a dense layer by a combination of the samples, so after any number
of steps its weights are ``W = W₀ + Aᵀ X`` with one row of ``A`` per sample.  Training then needs only the outputs at
the start, ``X W₀ᵀ``, and the Gram matrix ``X Xᵀ``, both computed once; a bias is a feature that is always one, which
adds one to the Gram matrix.  Adam scales every weight on its own, so it has no such form.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from headway.coreml.fleet.jobs import FleetResult, Prepared
from headway.coreml.fleet.kernels import NO_CLASS, TRAINED, train_group
from headway.coreml.fleet.padded import Padded
from headway.coreml.fleet.schedule import Schedules
from headway.coreml.fleet.steps import ADAM, MOMENTUM, NESTEROV, PLAIN
from headway.coreml.update.errors import feature_error, update_error
from headway.coreml.update.plan import AdamPlan, SgdPlan
from headway.coreml.update.semantics import Semantics

__all__ = ["Engine"]


class Engine:
    """Trains jobs that are dense stacks; what they share is made once."""

    def __init__(self, semantics: Semantics) -> None:
        self._semantics = semantics
        self._schedules = Schedules(semantics)
        self._heads: dict[int, Padded] = {}

    def train(self, jobs: Sequence[Prepared]) -> list[FleetResult]:
        """Train *jobs* and return their results, whose weights share memory.

        Jobs that differ only in their samples are one call of compiled code, so Python's lock is seldom taken.
        """
        groups: dict[tuple[int, int, int], list[int]] = {}
        for place, job in enumerate(jobs):
            groups.setdefault((id(job.job.model), id(job.plan), job.count), []).append(place)
        results = [FleetResult()] * len(jobs)
        for places in groups.values():
            for place, result in zip(places, self._group([jobs[place] for place in places]), strict=True):
                results[place] = result
        return results

    def _group(self, jobs: Sequence[Prepared]) -> list[FleetResult]:
        alike, many = jobs[0], len(jobs)
        plan, head = alike.plan, self._head(alike)
        schedule = self._schedules.of(alike.count, plan)
        if not len(schedule.sizes):
            error = update_error("There are too few samples for one mini-batch.", "Add samples.")
            return [FleetResult(error=error) for _ in jobs]
        labels = np.zeros((many, schedule.samples), dtype=np.int64)
        labels[:, : alike.count] = np.concatenate([job.labels for job in jobs]).reshape(many, alike.count)
        width_in, width_out = head.stack.widths[:2]
        losses = np.empty((many, plan.epochs), dtype=np.float32)
        kernels = np.empty((many, width_out, width_in), dtype=np.float32)
        biases = np.empty((many, width_out), dtype=np.float32)
        inner = np.empty((many, len(head.inner)), dtype=np.float32)
        states = np.empty(many, dtype=np.int64)
        kind, keep, keep2, eps = _optimizer(plan.optimizer, self._semantics)
        train_group(
            kind != ADAM and schedule.samples <= width_in,
            kind,
            np.array([job.features.__array_interface__["data"][0] for job in jobs], dtype=np.int64),
            alike.count,
            labels,
            schedule.rows,
            schedule.sizes,
            head.kernel,
            head.bias,
            head.inner,
            head.widths,
            head.activations,
            plan.learning_rate,
            keep,
            keep2,
            eps,
            self._semantics.adam_epsilon == "hat",
            self._semantics.loss_reduction == "mean",
            losses,
            kernels.reshape(many, -1),
            biases,
            inner,
            states,
        )
        found = zip(jobs, states.tolist(), losses.tolist(), kernels, biases, inner, strict=True)
        return [
            FleetResult(head.unpack(first, bias, rest), tuple(loss)) if state == TRAINED else _failed(job, state)
            for job, state, loss, first, bias, rest in found
        ]

    def _head(self, job: Prepared) -> Padded:
        model = job.job.model
        if id(model) not in self._heads and job.stack is not None:
            self._heads[id(model)] = Padded.of(job.stack, model.weights)
        return self._heads[id(model)]


def _optimizer(plan: SgdPlan | AdamPlan, semantics: Semantics) -> tuple[int, float, float, float]:
    """Return the kind, what the first and second moment keep (or the gradient's share), and epsilon."""
    if isinstance(plan, AdamPlan):
        return ADAM, plan.beta1, plan.beta2, plan.eps
    if plan.momentum == 0:
        return PLAIN, 0.0, 1.0, 0.0
    if semantics.momentum_form == "nesterov":
        return NESTEROV, plan.momentum, 1.0, 0.0
    return MOMENTUM, plan.momentum, 1 - plan.momentum if semantics.momentum_form == "dampened" else 1.0, 0.0


def _failed(job: Prepared, state: int) -> FleetResult:
    if state == NO_CLASS and job.stack is not None:
        hint = f"Labels are 0 to {job.stack.widths[-1] - 1}."
        return FleetResult(error=feature_error("A label is no class of the head.", hint))
    if not np.isfinite(job.features).all():
        return FleetResult(error=feature_error("The features are not finite.", "Compute them again."))
    return FleetResult(error=update_error("The training diverged.", "Lower the learning rate."))
