"""Writing an updatable head: dense layers, softmax, categorical cross-entropy, everything a device needs spelt out.

The shape is the one that is known to work: a plain neural network with RANK5 array mapping, a rank-1 FLOAT32 input,
inner products with float32 weights and bias, softmax feeding the loss, shuffle off (the caller permutes), and allowed
sets and ranges on every training parameter.  Equal layouts and weights give equal bytes, on every machine.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

import numpy as np

from headway.contract.errors import RefusedError
from headway.coreml.head import HeadWeights, write_head_weights
from headway.coreml.hyperparameters import SGD, AllowedSet, Optimizer
from headway.coreml.proto import Message, encode, messages
from headway.coreml.weights import Float32

__all__ = ["Activation", "HeadLayout", "build_head", "initial_head", "initial_weights"]

Activation = Literal["ReLU", "Sigmoid", "Tanh"]
"""Activations that Core ML can train through."""

_SPEC_VERSION = 4  # iOS 13, the first that can be updatable; a head needs nothing newer
_INT32 = 131104
_FLOAT32 = 65568


@dataclass(frozen=True)
class HeadLayout:
    """What a head looks like.

    *features* is the width D of the base's output, *classes* the number K of labels, *hidden* the widths of the dense
    layers between (none for a one-layer head), *activation* what follows each hidden layer.
    """

    features: int
    classes: int
    hidden: tuple[int, ...] = ()
    activation: Activation = "ReLU"
    optimizer: Optimizer = field(default_factory=SGD)
    epochs: AllowedSet = field(default_factory=lambda: AllowedSet(10, tuple(range(1, 101))))
    shuffle: bool = False
    seed: int | None = None
    input_name: str = "features"
    output_name: str = "probabilities"
    target_name: str = "probabilities_true"

    @property
    def widths(self) -> tuple[int, ...]:
        """Widths from the input to the output: ``(features, *hidden, classes)``."""
        return (self.features, *self.hidden, self.classes)

    @property
    def shapes(self) -> dict[str, tuple[int, ...]]:
        """Shapes of the trainable weights by key, in layer order."""
        found: dict[str, tuple[int, ...]] = {}
        for index, (width_in, width_out) in enumerate(zip(self.widths, self.widths[1:], strict=False)):
            found[f"dense_{index}.weights"] = (width_out, width_in)
            found[f"dense_{index}.biases"] = (width_out,)
        return found


def initial_weights(layout: HeadLayout, seed: int) -> HeadWeights:
    """Return starting weights: uniform within ±sqrt(6 / (fan in + fan out)), biases zero; the same for equal seeds."""
    random = np.random.Generator(np.random.PCG64(seed))
    return {
        key: np.float32(np.sqrt(6.0 / sum(shape))) * (2 * random.random(shape, dtype=np.float32) - 1)
        if len(shape) == 2
        else np.zeros(shape, dtype=np.float32)
        for key, shape in layout.shapes.items()
    }


def initial_head(layout: HeadLayout, seed: int) -> bytes:
    """Return an untrained head of *layout* (see :func:`initial_weights`)."""
    return build_head(layout, initial_weights(layout, seed))


def build_head(layout: HeadLayout, weights: Mapping[str, Float32]) -> bytes:
    """Return the specification (the bytes of a ``.mlmodel``) of a head with *weights*, keyed as in ``layout.shapes``.

    Raises :class:`RefusedError` when the layout makes no sense or the weights do not fit it.
    """
    if min(layout.widths) < 1 or layout.classes < 2:
        raise RefusedError(
            "layout",
            f"A head cannot have the widths {list(layout.widths)}.",
            hint="Every width must be positive and there must be at least two classes.",
        )
    model = messages("Model").Model()
    model.specificationVersion = _SPEC_VERSION
    model.isUpdatable = True
    _describe(model.description, layout)
    network = model.neuralNetwork
    _add_layers(network, layout)
    write_head_weights(network, weights)
    _add_update_parameters(network.updateParams, layout)
    return encode(model)


def _describe(description: Message, layout: HeadLayout) -> None:
    _add_array(description.input, layout.input_name, layout.features, _FLOAT32)
    _add_array(description.output, layout.output_name, layout.classes, _FLOAT32)
    _add_array(description.trainingInput, layout.input_name, layout.features, _FLOAT32)
    _add_array(description.trainingInput, layout.target_name, 1, _INT32)


def _add_array(features: Message, name: str, size: int, data_type: int) -> None:
    feature = features.add()
    feature.name = name
    feature.type.multiArrayType.shape.append(size)
    feature.type.multiArrayType.dataType = data_type


def _add_layers(network: Message, layout: HeadLayout) -> None:
    blob = layout.input_name
    last = len(layout.hidden)
    for index, (width_in, width_out) in enumerate(zip(layout.widths, layout.widths[1:], strict=False)):
        blob = _add_dense(network, f"dense_{index}", blob, width_in, width_out)
        if index < last:
            blob = _add_activation(network, f"activation_{index}", blob, layout.activation)
    softmax = network.layers.add()
    softmax.name = "softmax"
    softmax.input.append(blob)
    softmax.output.append(layout.output_name)
    softmax.softmax.SetInParent()


def _add_dense(network: Message, name: str, blob: str, width_in: int, width_out: int) -> str:
    layer = network.layers.add()
    layer.name = name
    layer.input.append(blob)
    layer.output.append(f"{name}_output")
    layer.isUpdatable = True
    dense = layer.innerProduct
    dense.inputChannels = width_in
    dense.outputChannels = width_out
    dense.hasBias = True
    dense.weights.isUpdatable = True
    dense.bias.isUpdatable = True
    return f"{name}_output"


def _add_activation(network: Message, name: str, blob: str, activation: Activation) -> str:
    layer = network.layers.add()
    layer.name = name
    layer.input.append(blob)
    layer.output.append(f"{name}_output")
    getattr(layer.activation, {"ReLU": "ReLU", "Sigmoid": "sigmoid", "Tanh": "tanh"}[activation]).SetInParent()
    return f"{name}_output"


def _add_update_parameters(update: Message, layout: HeadLayout) -> None:
    loss = update.lossLayers.add()
    loss.name = "loss"
    loss.categoricalCrossEntropyLossLayer.input = layout.output_name
    loss.categoricalCrossEntropyLossLayer.target = layout.target_name
    layout.optimizer.write(update.optimizer)
    layout.epochs.write(update.epochs)
    update.shuffle.defaultValue = layout.shuffle
    if layout.seed is not None:
        update.seed.defaultValue = layout.seed
