"""A compiled network: layers in order, blobs by name, weights apart so that training can replace them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from headway.contract.errors import IncompatibleError, RefusedError
from headway.coreml.neuralnetwork.compile import compile_layer
from headway.coreml.neuralnetwork.layer import Layer, Weights
from headway.coreml.proto import Message
from headway.coreml.weights import Floats

__all__ = ["Chain", "Network", "Node", "compile_network"]

_MAX_LAYERS = 10_000


@dataclass(frozen=True)
class Node:
    """One layer in its place: the blobs it reads and writes, and whether it may be trained."""

    name: str
    layer: Layer
    source: str
    target: str
    updatable: bool


@dataclass(frozen=True)
class Chain:
    """The layers that lead from the blob *source* to the blob *target*, in order."""

    source: str
    target: str
    nodes: tuple[Node, ...]

    def forward(self, blob: Floats, weights: Weights) -> tuple[Floats, list[Any]]:
        """Return the target blob and what :meth:`backward` needs."""
        saved = []
        for node in self.nodes:
            blob, kept = node.layer.forward(blob, weights)
            saved.append(kept)
        return blob, saved

    def backward(self, gradient: Floats, saved: list[Any], weights: Weights) -> dict[str, Floats]:
        """Return the gradients of the weights of all updatable layers, given the gradient of the target blob."""
        found: dict[str, Floats] = {}
        for node, kept in zip(reversed(self.nodes), reversed(saved), strict=True):
            gradient, own = node.layer.backward(gradient, kept, weights)
            if node.updatable:
                found.update(own)
        return found


@dataclass(frozen=True)
class Network:
    """Layers in order of execution and the weights that the specification holds."""

    nodes: tuple[Node, ...]
    weights: Weights = field(repr=False)

    def run(self, blobs: Mapping[str, Floats], weights: Weights | None = None) -> dict[str, Floats]:
        """Execute every layer on *blobs* (inputs by name) and return all blobs, inputs included.

        *weights* replaces the weights of the specification.
        """
        known = dict(blobs)
        values = self.weights if weights is None else weights
        for node in self.nodes:
            known[node.target], _ = node.layer.forward(known[node.source], values)
        return known

    def chain_to(self, target: str) -> Chain:
        """Return the layers that compute the blob *target* from an input of the network."""
        makers = {node.target: node for node in self.nodes}
        found: list[Node] = []
        blob = target
        while blob in makers:
            found.append(makers[blob])
            blob = makers[blob].source
        return Chain(blob, target, tuple(reversed(found)))


def compile_network(network: Message, inputs: tuple[str, ...]) -> Network:
    """Compile the neural network message *network* whose input blobs are *inputs*.

    Raises:
        IncompatibleError: code ``unsupported_layer`` or ``unsupported_network``, for what is not executed here.
        RefusedError: code ``network``, when blobs are read before they are made, or made twice.
    """
    _check_supported(network)
    known = set(inputs)
    weights: dict[str, Floats] = {}
    nodes: list[Node] = []
    for layer in network.layers:
        if len(layer.input) != 1 or len(layer.output) != 1:
            raise _malformed(layer.name, "must have exactly one input and one output")
        source, target = layer.input[0], layer.output[0]
        if source not in known:
            raise _malformed(layer.name, f"reads '{source}', which no earlier layer makes")
        if target in known:
            raise _malformed(layer.name, f"makes '{target}', which exists already")
        known.add(target)
        compiled, own = compile_layer(layer)
        if own.keys() & weights.keys():
            raise _malformed(layer.name, "has the name of another layer")
        weights.update(own)
        nodes.append(Node(layer.name, compiled, source, target, bool(layer.isUpdatable)))
    return Network(tuple(nodes), weights)


def _check_supported(network: Message) -> None:
    if network.arrayInputShapeMapping != 0:
        raise IncompatibleError(
            "unsupported_network",
            "The network uses EXACT array mapping, which this runtime does not execute.",
            hint="Export it with RANK5 array mapping: the only one in which a softmax can feed the loss.",
        )
    if len(network.preprocessing) or len(network.layers) > _MAX_LAYERS:
        raise IncompatibleError(
            "unsupported_network",
            "The network preprocesses images, or has too many layers.",
            hint="Give a head that reads a feature vector.",
        )


def _malformed(name: str, problem: str) -> RefusedError:
    return RefusedError(
        "network", f"The layer '{name}' {problem}.", hint="Validate the model and export it again.", layer=name
    )
