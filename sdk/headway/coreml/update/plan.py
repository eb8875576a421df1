"""The training plan: what the specification says, overridden by the configuration where it allows that.

An override outside the allowed set or range is an error with the code ``parameters``; a key that the optimizer does not
know is ignored (a hint about the device); an allowed set or range left out of the specification does not limit.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from headway.coreml.proto import Message
from headway.coreml.update.errors import parameter_error, update_error
from headway.coreml.update.keys import MLParameterKey

__all__ = ["AdamPlan", "Loss", "SgdPlan", "TrainingPlan", "check_learning_rate", "plan_of"]

_MOST = 1_000_000  # epochs or samples in a mini-batch; more would be a hostile or mistaken file
_SET_TOLERANCE = 1e-4  # hint about the device


@dataclass(frozen=True)
class SgdPlan:
    """Stochastic gradient descent."""

    momentum: float = 0.0


@dataclass(frozen=True)
class AdamPlan:
    """Adam."""

    beta1: float = 0.9
    beta2: float = 0.999
    eps: float = 1e-8


@dataclass(frozen=True)
class Loss:
    """*kind* is ``cross_entropy`` or ``squared_error``; *source* the blob it reads, *target* the training input."""

    kind: str
    source: str
    target: str


@dataclass(frozen=True)
class TrainingPlan:
    """Everything that a training run needs besides weights and data; *seed* None means the engine's fixed start."""

    loss: Loss
    optimizer: SgdPlan | AdamPlan
    learning_rate: float
    mini_batch_size: int
    epochs: int
    shuffle: bool = False
    seed: int | None = None

    def parameters(self) -> dict[MLParameterKey, Any]:
        """Return the parameters as ``MLUpdateContext.parameters`` shows them."""
        found: dict[MLParameterKey, Any] = {
            MLParameterKey.learningRate: self.learning_rate,
            MLParameterKey.miniBatchSize: self.mini_batch_size,
            MLParameterKey.epochs: self.epochs,
            MLParameterKey.shuffle: self.shuffle,
        }
        if isinstance(self.optimizer, SgdPlan):
            found[MLParameterKey.momentum] = self.optimizer.momentum
        else:
            found[MLParameterKey.beta1] = self.optimizer.beta1
            found[MLParameterKey.beta2] = self.optimizer.beta2
            found[MLParameterKey.eps] = self.optimizer.eps
        if self.seed is not None:
            found[MLParameterKey.seed] = self.seed
        return found


def plan_of(update: Message, overrides: Mapping[MLParameterKey, Any]) -> TrainingPlan:
    """Return the plan of ``NetworkUpdateParameters`` *update* with *overrides*.

    Raises:
        MLModelError: ``parameters`` for an override that is not allowed, ``update`` for a specification that lacks
            a loss or an optimizer.
    """
    values = _Values({key: value for key, value in overrides.items() if key.scope is None})
    kind = update.optimizer.WhichOneof("OptimizerType")
    if kind is None:
        raise update_error("The model names no optimizer.", "Give it one before publishing; validate shows it.")
    body = getattr(update.optimizer, kind)
    optimizer: SgdPlan | AdamPlan
    if kind == "sgdOptimizer":
        optimizer = SgdPlan(values.real(MLParameterKey.momentum, body.momentum))
    else:
        optimizer = AdamPlan(
            values.decay(MLParameterKey.beta1, body.beta1),
            values.decay(MLParameterKey.beta2, body.beta2),
            values.real(MLParameterKey.eps, body.eps),
        )
    return TrainingPlan(
        loss=_loss(update),
        optimizer=optimizer,
        learning_rate=values.real(MLParameterKey.learningRate, body.learningRate),
        mini_batch_size=values.integer(MLParameterKey.miniBatchSize, body.miniBatchSize, positive=True),
        epochs=values.integer(MLParameterKey.epochs, update.epochs, positive=True),
        shuffle=values.boolean(MLParameterKey.shuffle, update.shuffle),
        seed=values.seed(update),
    )


def check_learning_rate(update: Message, value: Any) -> float:
    """Return *value* as a learning rate that the specification *update* allows.

    Raises:
        MLModelError: ``parameters``.
    """
    body = getattr(update.optimizer, update.optimizer.WhichOneof("OptimizerType"))
    return _Values({MLParameterKey.learningRate: value}).real(MLParameterKey.learningRate, body.learningRate)


def _loss(update: Message) -> Loss:
    if len(update.lossLayers) != 1:
        raise update_error("The model must have exactly one loss layer.", "Add one; validate shows the rule.")
    layer = update.lossLayers[0]
    kind = layer.WhichOneof("LossLayerType")
    if kind == "categoricalCrossEntropyLossLayer":
        return Loss("cross_entropy", layer.categoricalCrossEntropyLossLayer.input, _target(layer, kind))
    if kind == "meanSquaredErrorLossLayer":
        return Loss("squared_error", layer.meanSquaredErrorLossLayer.input, _target(layer, kind))
    raise update_error(f"The loss layer '{layer.name}' is of no known kind.", "Use cross-entropy or squared error.")


def _target(layer: Message, kind: str) -> str:
    return str(getattr(layer, kind).target)


@dataclass(frozen=True)
class _Values:
    """Reads parameters: the override when there is one, else the default, both checked."""

    overrides: Mapping[MLParameterKey, Any]

    def real(self, key: MLParameterKey, message: Message) -> float:
        value = self.overrides.get(key, message.defaultValue)
        if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
            raise _wrong(key, value, "a finite number")
        if message.WhichOneof("AllowedValues") == "range":
            low, high = message.range.minValue, message.range.maxValue
            if not low <= value <= high:
                raise _wrong(key, value, f"between {low:g} and {high:g}")
        return float(value)

    def decay(self, key: MLParameterKey, message: Message) -> float:
        value = self.real(key, message)
        if not 0 <= value < 1:  # at 1 the correction of the bias divides by zero
            raise _wrong(key, value, "at least 0 and below 1")
        return value

    def integer(self, key: MLParameterKey, message: Message, *, positive: bool) -> int:
        value = self.overrides.get(key, message.defaultValue)
        if isinstance(value, bool) or not isinstance(value, int | float) or value != int(value):
            raise _wrong(key, value, "an integer")
        if positive and not 1 <= value <= _MOST:
            raise _wrong(key, value, f"1 to {_MOST}")
        kind = message.WhichOneof("AllowedValues")
        if kind == "set" and not any(abs(value - allowed) <= _SET_TOLERANCE for allowed in message.set.values):
            raise _wrong(key, value, f"one of {list(message.set.values)}")
        if kind == "range" and not message.range.minValue <= value <= message.range.maxValue:
            raise _wrong(key, value, f"between {message.range.minValue} and {message.range.maxValue}")
        return int(value)

    def boolean(self, key: MLParameterKey, message: Message) -> bool:
        value = self.overrides.get(key, message.defaultValue)
        if not isinstance(value, bool):
            raise _wrong(key, value, "true or false")
        return value

    def seed(self, update: Message) -> int | None:
        if MLParameterKey.seed not in self.overrides and not update.HasField("seed"):
            return None
        return self.integer(MLParameterKey.seed, update.seed, positive=False)


def _wrong(key: MLParameterKey, value: Any, expected: str) -> Exception:
    return parameter_error(
        f"The parameter {key.name} cannot be {value!r}: it must be {expected}.",
        "Choose an allowed value, or publish a head whose specification allows this one.",
    )
