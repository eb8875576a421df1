"""SGD with momentum and Adam, on float32 arrays, in the forms that the semantics choose.

An optimizer is asked for the step to subtract from a weight; it keeps its own moments by key.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Protocol

import numpy as np

from headway.coreml.update.plan import AdamPlan, SgdPlan
from headway.coreml.update.semantics import Semantics
from headway.coreml.weights import Float32

__all__ = ["AdamOptimizer", "Optimizer", "SgdOptimizer", "make_optimizer"]


class Optimizer(Protocol):
    """Turns gradients into steps."""

    def begin_step(self) -> None:
        """Called once per mini-batch, before the steps of its weights."""

    def step(self, key: str, gradient: Float32, learning_rate: float) -> Float32:
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
    velocity: dict[str, Float32] = field(default_factory=dict)

    def begin_step(self) -> None:
        """Nothing to prepare."""

    def step(self, key: str, gradient: Float32, learning_rate: float) -> Float32:
        """Return the step for *gradient*."""
        rate, momentum = np.float32(learning_rate), np.float32(self.plan.momentum)
        if momentum == 0:
            return rate * gradient
        form = self.semantics.momentum_form
        before = self.velocity.get(key)
        if form == "velocity":
            scaled = rate * gradient
            step = scaled if before is None else momentum * before + scaled
            self.velocity[key] = step
            return step
        share = 1 - momentum if form == "dampened" else np.float32(1)
        now = share * gradient if before is None else momentum * before + share * gradient
        self.velocity[key] = now
        return rate * (gradient + momentum * now if form == "nesterov" else now)


@dataclass
class AdamOptimizer:
    """Adam after Kingma and Ba, the time step counted from 1; see ``Semantics.adam_epsilon``."""

    plan: AdamPlan
    semantics: Semantics
    time: int = 0
    first: dict[str, Float32] = field(default_factory=dict)
    second: dict[str, Float32] = field(default_factory=dict)

    def begin_step(self) -> None:
        """Advance the time step."""
        self.time += 1

    def step(self, key: str, gradient: Float32, learning_rate: float) -> Float32:
        """Return the step for *gradient*."""
        # 1 - beta2 is taken before rounding: in float32 it would be off by one part in 1e5.
        beta2, share1, share2 = map(np.float32, (self.plan.beta2, 1 - self.plan.beta1, 1 - self.plan.beta2))
        if key not in self.first:
            self.first[key] = np.zeros_like(gradient)
            self.second[key] = np.zeros_like(gradient)
        m, v = self.first[key], self.second[key]
        m += share1 * (gradient - m)
        v *= beta2
        v += share2 * gradient * gradient
        correction1 = 1 - self.plan.beta1**self.time
        correction2 = float(np.sqrt(1 - self.plan.beta2**self.time))
        eps = np.float32(self.plan.eps)
        root: Float32 = np.sqrt(v)
        if self.semantics.adam_epsilon == "hat":
            return np.float32(learning_rate * correction2 / correction1) * m / (root + eps)
        return np.float32(learning_rate / correction1) * m / (root / np.float32(correction2) + eps)
