"""SGD with momentum and Adam, in the forms that the semantics choose and in the precision of the gradients.

An optimizer is asked for the step to subtract from a weight; it keeps its own moments by key.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Protocol

import numpy as np

from headway.coreml.update.plan import AdamPlan, SgdPlan
from headway.coreml.update.semantics import Semantics
from headway.coreml.weights import Floats

__all__ = ["AdamOptimizer", "Optimizer", "SgdOptimizer", "make_optimizer"]


class Optimizer(Protocol):
    """Turns gradients into steps."""

    def begin_step(self) -> None:
        """Called once per mini-batch, before the steps of its weights."""

    def step(self, key: str, gradient: Floats, learning_rate: float) -> Floats:
        """Return what to subtract from the weight *key*."""


def make_optimizer(plan: SgdPlan | AdamPlan, semantics: Semantics) -> Optimizer:
    """Return a fresh optimizer."""
    if isinstance(plan, SgdPlan):
        return SgdOptimizer(plan, semantics)
    return AdamOptimizer(plan, semantics)


@dataclass
class SgdOptimizer:
    """Stochastic gradient descent; see ``Semantics.momentum_form``."""

    plan: SgdPlan
    semantics: Semantics
    velocity: dict[str, Floats] = field(default_factory=dict)

    def begin_step(self) -> None:
        """Nothing to prepare."""

    def step(self, key: str, gradient: Floats, learning_rate: float) -> Floats:
        """Return the step for *gradient*."""
        rate, momentum = learning_rate, self.plan.momentum
        if momentum == 0:
            return rate * gradient
        form = self.semantics.momentum_form
        before = self.velocity.get(key)
        if form == "velocity":
            scaled = rate * gradient
            step = scaled if before is None else momentum * before + scaled
            self.velocity[key] = step
            return step
        share = 1 - momentum if form == "dampened" else 1.0
        now = share * gradient if before is None else momentum * before + share * gradient
        self.velocity[key] = now
        return rate * (gradient + momentum * now if form == "nesterov" else now)


@dataclass
class AdamOptimizer:
    """Adam after Kingma and Ba, the time step counted from 1; see ``Semantics.adam_epsilon``."""

    plan: AdamPlan
    semantics: Semantics
    time: int = 0
    first: dict[str, Floats] = field(default_factory=dict)
    second: dict[str, Floats] = field(default_factory=dict)

    def begin_step(self) -> None:
        """Advance the time step."""
        self.time += 1

    def step(self, key: str, gradient: Floats, learning_rate: float) -> Floats:
        """Return the step for *gradient*."""
        beta1, beta2, eps = self.plan.beta1, self.plan.beta2, self.plan.eps
        if key not in self.first:
            self.first[key] = np.zeros_like(gradient)
            self.second[key] = np.zeros_like(gradient)
        m, v = self.first[key], self.second[key]
        m += (1 - beta1) * (gradient - m)
        v *= beta2
        v += (1 - beta2) * gradient * gradient
        correction1, correction2 = 1 - beta1**self.time, math.sqrt(1 - beta2**self.time)
        root: Floats = np.sqrt(v)
        if self.semantics.adam_epsilon == "hat":
            return learning_rate * correction2 / correction1 * m / (root + eps)
        return learning_rate / correction1 * m / (root / correction2 + eps)
