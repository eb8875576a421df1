"""One job through the compiled engine, in whichever of two forms is quicker.

*Directly*, every step moves every weight of the first layer, which holds nearly all of them.  *In sample space* it is
never touched while training: a step of SGD changes a dense layer by a combination of the samples, so after any number
of steps its weights are ``W = W₀ + Aᵀ X`` with one row of ``A`` per sample.  Training then needs only the outputs at
the start, ``X W₀ᵀ``, and the Gram matrix ``X Xᵀ``, both computed once; a bias is a feature that is always one, which
adds one to the Gram matrix.  Adam scales every weight on its own, so it has no such form.
"""

from __future__ import annotations

import numpy as np

from headway.coreml.fleet.jobs import FleetResult, Prepared
from headway.coreml.fleet.kernels import train
from headway.coreml.fleet.padded import Padded
from headway.coreml.fleet.schedule import Schedules
from headway.coreml.fleet.steps import ADAM, MOMENTUM, NESTEROV, PLAIN
from headway.coreml.head import HeadWeights
from headway.coreml.update.errors import MLModelError, feature_error, update_error
from headway.coreml.update.plan import AdamPlan, SgdPlan
from headway.coreml.update.semantics import Semantics

__all__ = ["Engine"]


class Engine:
    """Trains jobs that are dense stacks, one after the other; what they share is made once."""

    def __init__(self, semantics: Semantics) -> None:
        self._semantics = semantics
        self._schedules = Schedules(semantics)
        self._heads: dict[int, Padded] = {}

    def train(self, job: Prepared, into: HeadWeights) -> FleetResult:
        """Train *job*, write its weights *into* arrays by key, and return them in a result."""
        head = self._head(job)
        schedule = self._schedules.of(job.count, job.plan)
        if not len(schedule.sizes):
            return FleetResult(error=update_error("There are too few samples for one mini-batch.", "Add samples."))
        labels = job.labels if schedule.samples == job.count else np.append(job.labels, 0)
        losses = np.empty(job.plan.epochs, dtype=np.float32)
        inner = np.empty_like(head.inner)
        name = head.stack.names[0]
        kind, keep, keep2, eps = _optimizer(job.plan.optimizer, self._semantics)
        finite = train(
            kind != ADAM and schedule.samples <= head.stack.widths[0],
            kind,
            job.features,
            labels,
            schedule.rows,
            schedule.sizes,
            head.kernel,
            head.bias,
            head.inner,
            head.widths,
            head.activations,
            job.plan.learning_rate,
            keep,
            keep2,
            eps,
            self._semantics.adam_epsilon == "hat",
            self._semantics.loss_reduction == "mean",
            losses,
            into[f"{name}.weights"].reshape(-1),
            into[f"{name}.biases"],
            inner,
        )
        if not finite:
            return FleetResult(error=_not_finite(job))
        head.unpack(inner, into)
        return FleetResult(into, tuple(losses.tolist()))

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


def _not_finite(job: Prepared) -> MLModelError:
    if not np.isfinite(job.features).all():
        return feature_error("The features are not finite.", "Compute them again.")
    return update_error("The training diverged.", "Lower the learning rate.")
