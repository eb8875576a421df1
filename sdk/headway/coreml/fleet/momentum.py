"""The steps of SGD for a block: each job its own rate and momentum, jobs that have ended standing still."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from headway.coreml.fleet.blocks import Block
from headway.coreml.update.plan import SgdPlan
from headway.coreml.update.semantics import Semantics
from headway.coreml.weights import Float32

__all__ = ["Momentum"]


@dataclass(eq=False)
class Momentum:
    """Rates and momenta ``[jobs, 1, 1]``, and the velocity of each array by name.

    Without momentum the rate goes into the sample weights, and a step is one subtraction.
    """

    rate: Float32
    momentum: Float32
    form: str
    plain: bool
    velocity: dict[str, Float32] = field(default_factory=dict)

    @classmethod
    def of(cls, block: Block, semantics: Semantics) -> Momentum:
        """Read the plans of *block*."""
        plans = [job.plan for job in block.jobs]
        momenta = [plan.optimizer.momentum if isinstance(plan.optimizer, SgdPlan) else 0.0 for plan in plans]
        rates = [plan.learning_rate for plan in plans]
        plain = not any(momenta)
        return cls(block.per_job(rates), block.per_job(momenta), semantics.momentum_form, plain)

    def weigh(self, weights: Float32, active: NDArray[np.bool_]) -> Float32:
        """Return the factor ``[jobs, 1, batch]`` of the scores' gradient: zero for jobs that are not *active*."""
        factor = weights if active.all() else weights * active[:, None, None]
        return factor * self.rate if self.plain else factor

    def descend(
        self, name: str, values: Float32, gradient: Float32, rows: slice | None, active: NDArray[np.bool_]
    ) -> None:
        """Move *values* (its *rows*, where given) against *gradient*."""
        if self.plain:
            part = values if rows is None else values[:, rows]
            part -= gradient
            return
        if name not in self.velocity:
            self.velocity[name] = np.zeros_like(values)
        velocity = self.velocity[name]
        awake = active[:, None, None]
        velocity *= np.where(awake, self.momentum, np.float32(1))
        moved = velocity if rows is None else velocity[:, rows]
        moved += (1 - self.momentum) * gradient if self.form == "dampened" else gradient
        rate = np.where(awake, self.rate, np.float32(0))
        if self.form != "nesterov":
            values -= rate * velocity
            return
        values -= (rate * self.momentum) * velocity
        part = values if rows is None else values[:, rows]
        part -= rate * gradient

    def reorder(self, name: str, rows: NDArray[np.int64]) -> None:
        """Bring the sample axis of the velocity *name* into another order."""
        if name in self.velocity:
            self.velocity[name] = np.take_along_axis(self.velocity[name], rows, axis=1)
