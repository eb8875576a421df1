"""Training parameters as a head's specification declares them: a default and what a device may choose instead.

A parameter without an allowed set or range is "not limited" in Core ML, but coremltools and Apple's examples always
write one, and a device can only override what the specification allows; heads built here therefore always write both.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from headway.coreml.proto import Message

__all__ = ["SGD", "Adam", "AllowedSet", "Optimizer", "Range"]


@dataclass(frozen=True)
class AllowedSet:
    """An integer parameter: *default*, which must be one of *allowed* (ascending, positive)."""

    default: int
    allowed: tuple[int, ...]

    def write(self, message: Message) -> None:
        """Write this parameter into an ``Int64Parameter``."""
        message.defaultValue = self.default
        message.set.values.extend(sorted(set(self.allowed)))


@dataclass(frozen=True)
class Range:
    """A real parameter: *default* within [*minimum*, *maximum*], both ends included."""

    default: float
    minimum: float = 0.0
    maximum: float = 1.0

    def write(self, message: Message) -> None:
        """Write this parameter into a ``DoubleParameter``."""
        message.defaultValue = self.default
        message.range.minValue = self.minimum
        message.range.maxValue = self.maximum


def _batch_sizes() -> AllowedSet:
    return AllowedSet(10, (1, 2, 4, 5, 8, 10, 16, 20, 25, 32, 50, 64, 100, 128))


@dataclass(frozen=True)
class SGD:
    """Stochastic gradient descent with optional momentum."""

    learning_rate: Range = field(default_factory=lambda: Range(0.05))
    mini_batch_size: AllowedSet = field(default_factory=_batch_sizes)
    momentum: Range = field(default_factory=lambda: Range(0.0))

    def write(self, message: Message) -> None:
        """Write this optimizer into an ``Optimizer`` message."""
        self.learning_rate.write(message.sgdOptimizer.learningRate)
        self.mini_batch_size.write(message.sgdOptimizer.miniBatchSize)
        self.momentum.write(message.sgdOptimizer.momentum)


@dataclass(frozen=True)
class Adam:
    """Adam as Kingma and Ba describe it."""

    learning_rate: Range = field(default_factory=lambda: Range(0.001))
    mini_batch_size: AllowedSet = field(default_factory=_batch_sizes)
    beta1: Range = field(default_factory=lambda: Range(0.9))
    beta2: Range = field(default_factory=lambda: Range(0.999))
    eps: Range = field(default_factory=lambda: Range(1e-8))

    def write(self, message: Message) -> None:
        """Write this optimizer into an ``Optimizer`` message."""
        self.learning_rate.write(message.adamOptimizer.learningRate)
        self.mini_batch_size.write(message.adamOptimizer.miniBatchSize)
        self.beta1.write(message.adamOptimizer.beta1)
        self.beta2.write(message.adamOptimizer.beta2)
        self.eps.write(message.adamOptimizer.eps)


Optimizer = SGD | Adam
"""The optimizers that Core ML can run on a device."""
