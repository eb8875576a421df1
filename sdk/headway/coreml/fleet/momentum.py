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

    Without momentum (*plain*) the rate goes into the weights of the samples, and a step is one subtraction.
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

    def weigh(self, weights: Float32) -> Float32:
        """Return the factor of the scores' gradient for sample weights ``[jobs, 1, batch]``."""
        return weights * self.rate if self.plain else weights

    def descend(
        self, name: str, values: Float32, gradient: Float32, part: Float32, at: slice | None, active: NDArray[np.bool_]
    ) -> None:
        """Move *values* against *gradient*, which concerns the view *part* of them.

        *at* is the place of *part* along the sample axis (the last but one), None when it is all of *values*.
        """
        if self.plain:
            part -= gradient
            return
        if name not in self.velocity:
            self.velocity[name] = np.zeros_like(values)
        velocity = self.velocity[name]
        awake = active[:, None, None]
        velocity *= np.where(awake, self.momentum, np.float32(1))
        moved = velocity if at is None else velocity[:, at]
        moved += (1 - self.momentum) * gradient if self.form == "dampened" else gradient
        rate = np.where(awake, self.rate, np.float32(0))
        if self.form != "nesterov":
            values -= rate * velocity
            return
        values -= (rate * self.momentum) * velocity
        part -= rate * gradient

    def reorder(self, name: str, move: NDArray[np.int64]) -> None:
        """Bring the sample axis of the velocity *name* into another order."""
        if name in self.velocity:
            self.velocity[name] = np.take_along_axis(self.velocity[name], move, axis=1)
