"""A network with the look-ups that several rules need, made once."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

from headway.coreml.proto import Message

__all__ = ["NetworkView", "loss_of"]


@dataclass(frozen=True)
class NetworkView:
    """*model* and its neural network message; *makers* the index in *layers* of the last layer that makes each blob."""

    model: Message
    network: Message
    layers: tuple[Message, ...] = field(repr=False)
    inputs: frozenset[str]
    makers: dict[str, int] = field(repr=False)

    @classmethod
    def of(cls, model: Message, network: Message) -> NetworkView:
        """Look at *network* of *model*."""
        inputs = frozenset(feature.name for feature in model.description.input)
        layers = tuple(network.layers)
        makers = {blob: index for index, layer in enumerate(layers) for blob in layer.output}
        return cls(model, network, layers, inputs, makers)

    def maker(self, blob: str) -> Message | None:
        """Return the layer that makes *blob*, or None."""
        index = self.makers.get(blob)
        return None if index is None else self.layers[index]

    @property
    def is_classifier(self) -> bool:
        """Whether this is a neural network classifier."""
        return bool(self.model.WhichOneof("Type") == "neuralNetworkClassifier")

    def updatable_layers(self) -> Iterator[Message]:
        """Yield the layers marked updatable."""
        return (layer for layer in self.layers if layer.isUpdatable)


def loss_of(layer: Message) -> tuple[str, str, str] | None:
    """Return (kind, input, target) of a loss layer; *kind* is ``cross_entropy`` or ``squared_error``, else None."""
    kind = layer.WhichOneof("LossLayerType")
    if kind == "categoricalCrossEntropyLossLayer":
        body = layer.categoricalCrossEntropyLossLayer
        return "cross_entropy", body.input, body.target
    if kind == "meanSquaredErrorLossLayer":
        body = layer.meanSquaredErrorLossLayer
        return "squared_error", body.input, body.target
    return None
