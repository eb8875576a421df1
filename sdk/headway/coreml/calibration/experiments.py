"""The experiments: for each open question the smallest training on which its answers differ visibly.

They build on each other in this order; an earlier decision is used when later ones are predicted.  All parameters are
defaults of the heads' specifications, so that a phone has nothing to set but what the experiment itself is about.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from headway.contract.digests import Digest, canonical_json, digest_of
from headway.coreml.build import HeadLayout, initial_head
from headway.coreml.hyperparameters import SGD, Adam, AllowedSet, Optimizer, Range
from headway.coreml.proto import encode, parse_model

__all__ = ["Experiment", "experiments", "kit_digest"]

_FEATURES, _CLASSES = 4, 3
_FLOAT32 = 65568


@dataclass(frozen=True, eq=False)
class Experiment:
    """One training on a phone.

    *switches* are the questions it helps to answer; *spec* the head; *data* its samples by training-input name;
    *registers_epoch_end* whether the app asks for that event; *rates* new learning rates by epoch index, to be set
    when that epoch ends; *cancels* whether the app cancels after the first mini-batch.
    """

    name: str
    switches: tuple[str, ...]
    spec: bytes
    data: Mapping[str, NDArray[Any]]
    registers_epoch_end: bool = False
    rates: Mapping[int, float] = field(default_factory=dict)
    cancels: bool = False


def _head(optimizer: Optimizer, epochs: int, *, shuffle: bool = False, seed: int | None = None) -> bytes:
    layout = HeadLayout(
        _FEATURES,
        _CLASSES,
        optimizer=optimizer,
        epochs=AllowedSet(epochs, (epochs,)),
        shuffle=shuffle,
        seed=seed,
    )
    return initial_head(layout, seed=11)


def _sgd(batch: int, rate: float, momentum: float = 0.0) -> SGD:
    return SGD(Range(rate), AllowedSet(batch, (batch,)), Range(momentum))


def _samples(count: int) -> dict[str, NDArray[Any]]:
    """*count* samples with plain numbers, each of its own kind, so that no two orders or fillings look alike."""
    grid = np.arange(count * _FEATURES, dtype=np.float32).reshape(count, _FEATURES)
    features = np.round(np.sin(grid * np.float32(1.7)) * 4) / np.float32(4)
    labels = (np.arange(count) * 2 + 1) % _CLASSES
    return {"features": features, "probabilities_true": labels.astype(np.int32)[:, None]}


def _squared_error() -> tuple[bytes, dict[str, NDArray[Any]]]:
    """A head with tanh and squared error; devices fail on squared error right after an inner product."""
    model = parse_model(_head(_sgd(2, 0.5), 1))
    network = model.neuralNetwork
    last = network.layers[-1]
    last.activation.tanh.SetInParent()
    last.name = "tanh"
    loss = network.updateParams.lossLayers[0]
    loss.meanSquaredErrorLossLayer.input = "probabilities"
    loss.meanSquaredErrorLossLayer.target = "probabilities_true"
    target = model.description.trainingInput[1].type.multiArrayType
    target.dataType = _FLOAT32
    target.shape[0] = _CLASSES
    data = _samples(2)
    data["probabilities_true"] = np.array([[0.5, -0.25, 1.0], [-1.0, 0.75, 0.0]], dtype=np.float32)
    return encode(model), data


@cache
def experiments() -> tuple[Experiment, ...]:
    """Return all experiments in the order in which they are decided."""
    mse_spec, mse_data = _squared_error()
    adam = Adam(Range(0.1), AllowedSet(2, (2,)), eps=Range(0.05))
    once, thrice = (_head(_sgd(1, 0.5), epochs, shuffle=True, seed=1234) for epochs in (1, 3))
    return (
        Experiment("loss_reduction", ("loss_reduction",), _head(_sgd(2, 1.0), 1), _samples(2)),
        Experiment("mse_reduction", ("mse_reduction",), mse_spec, mse_data),
        Experiment("partial_batch", ("partial_batch",), _head(_sgd(2, 0.5), 1), _samples(3)),
        Experiment(
            "momentum_form",
            ("momentum_form",),
            _head(_sgd(2, 0.5, 0.5), 3),
            _samples(2),
            registers_epoch_end=True,
            rates={0: 0.125},
        ),
        Experiment("adam_epsilon", ("adam_epsilon",), _head(adam, 3), _samples(2)),
        Experiment("shuffle_rule", ("shuffle_rule",), once, _samples(8)),
        Experiment("reshuffle_silent", ("reshuffle",), thrice, _samples(8)),
        Experiment(
            "reshuffle_registered",
            ("reshuffle",),
            thrice,
            _samples(8),
            registers_epoch_end=True,
        ),
        Experiment("cancel", ("completion_after_cancel",), _head(_sgd(1, 0.5), 3), _samples(4), cancels=True),
    )


def kit_digest() -> Digest:
    """Return the digest of all heads: results of another kit are not read."""
    return digest_of(canonical_json([[one.name, digest_of(one.spec)] for one in experiments()], document="kit"))
