"""Names of parameters, metrics, events and states, spelt as Apple spells them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum, IntEnum, IntFlag
from typing import Any, ClassVar

__all__ = ["MLMetricKey", "MLModelConfiguration", "MLParameterKey", "MLTaskState", "MLUpdateProgressEvent"]


@dataclass(frozen=True)
class MLParameterKey:
    """A parameter of a model or of its training; ``weights`` and ``biases`` are scoped to a layer by :meth:`scoped`."""

    name: str
    scope: str | None = None

    learningRate: ClassVar[MLParameterKey]
    momentum: ClassVar[MLParameterKey]
    miniBatchSize: ClassVar[MLParameterKey]
    beta1: ClassVar[MLParameterKey]
    beta2: ClassVar[MLParameterKey]
    eps: ClassVar[MLParameterKey]
    epochs: ClassVar[MLParameterKey]
    shuffle: ClassVar[MLParameterKey]
    seed: ClassVar[MLParameterKey]
    numberOfNeighbors: ClassVar[MLParameterKey]
    linkedModelFileName: ClassVar[MLParameterKey]
    linkedModelSearchPath: ClassVar[MLParameterKey]
    weights: ClassVar[MLParameterKey]
    biases: ClassVar[MLParameterKey]

    def scoped(self, to: str) -> MLParameterKey:
        """Return this key scoped to the layer (or the sub-model of a pipeline) called *to*."""
        return MLParameterKey(self.name, to if self.scope is None else f"{to}.{self.scope}")


KEY_NAMES = (
    "learningRate",
    "momentum",
    "miniBatchSize",
    "beta1",
    "beta2",
    "eps",
    "epochs",
    "shuffle",
    "seed",
    "numberOfNeighbors",
    "linkedModelFileName",
    "linkedModelSearchPath",
    "weights",
    "biases",
)
for _name in KEY_NAMES:
    setattr(MLParameterKey, _name, MLParameterKey(_name))


class MLMetricKey(Enum):
    """What a progress event reports; treat each as optional, as the event decides which are there."""

    lossValue = "lossValue"
    epochIndex = "epochIndex"
    miniBatchIndex = "miniBatchIndex"


class MLUpdateProgressEvent(IntFlag):
    """Events a handler can ask for; combine with ``|``."""

    trainingBegin = 1 << 0
    epochEnd = 1 << 1
    miniBatchEnd = 1 << 2


class MLTaskState(IntEnum):
    """Where a task is."""

    suspended = 1
    running = 2
    cancelling = 3
    completed = 4
    failed = 5


@dataclass(frozen=True)
class MLModelConfiguration:
    """How to load a model: *parameters* override the specification's, within its allowed sets and ranges."""

    parameters: Mapping[MLParameterKey, Any] = field(default_factory=dict)
