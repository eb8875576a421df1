"""Reading and replacing the trainable weights of a head's specification.

The weights of a head travel as a mapping from ``"<layer>.weights"`` and ``"<layer>.biases"`` (Apple's names for the two
scoped parameter keys) to float32 arrays: ``[out, in]`` and ``[out]`` for an inner product, ``[out, in/groups, height,
width]`` and ``[out]`` for a convolution.  Only layers marked updatable appear.  Everything else in the specification,
unknown fields included, is carried over unchanged, and equal inputs give equal bytes.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import numpy as np

from headway.contract.errors import RefusedError
from headway.coreml.proto import Message, encode, parse_model
from headway.coreml.weights import Float32, read_weights, write_weights

__all__ = ["HeadWeights", "head_weights", "network_of", "weight_slots", "with_head_weights", "write_head_weights"]

HeadWeights = dict[str, Float32]
"""Trainable weights by ``"<layer>.weights"`` and ``"<layer>.biases"``."""

_NETWORKS = ("neuralNetwork", "neuralNetworkClassifier", "neuralNetworkRegressor")
_PIPELINES = ("pipeline", "pipelineClassifier", "pipelineRegressor")


def network_of(model: Message) -> Message | None:
    """Return the neural network message of *model* (of the last model when it is a pipeline), or None."""
    kind = model.WhichOneof("Type")
    if kind in _NETWORKS:
        return getattr(model, kind)
    if kind in _PIPELINES:
        stages = model.pipeline if kind == "pipeline" else getattr(model, kind).pipeline
        return network_of(stages.models[-1]) if len(stages.models) else None
    return None


def weight_slots(network: Message) -> Iterator[tuple[str, Message, tuple[int, ...]]]:
    """Yield (key, WeightParams, shape) for each trainable tensor of *network*, in layer order."""
    for layer in network.layers:
        if not layer.isUpdatable:
            continue
        kind = layer.WhichOneof("layer")
        if kind == "innerProduct":
            body = layer.innerProduct
            shape: tuple[int, ...] = (int(body.outputChannels), int(body.inputChannels))
        elif kind == "convolution":
            body = layer.convolution
            kernel = tuple(int(k) for k in body.kernelSize) or (3, 3)
            shape = (int(body.outputChannels), int(body.kernelChannels), *kernel)
        else:
            continue
        yield f"{layer.name}.weights", body.weights, shape
        if body.hasBias:
            yield f"{layer.name}.biases", body.bias, shape[:1]


def head_weights(spec_bytes: bytes) -> HeadWeights:
    """Return the trainable weights of the model *spec_bytes*.

    Raises :class:`RefusedError` when it has none or they do not have the size their layer declares.
    """
    return _weights_of(_network(parse_model(spec_bytes)))


def with_head_weights(spec_bytes: bytes, weights: Mapping[str, Float32]) -> bytes:
    """Return *spec_bytes* with its trainable weights replaced by *weights* (all, finite, same shapes)."""
    model = parse_model(spec_bytes)
    write_head_weights(_network(model), weights)
    return encode(model)


def write_head_weights(network: Message, weights: Mapping[str, Float32]) -> None:
    """Replace the trainable weights of the message *network* in place.

    Raises :class:`RefusedError` on a missing or unknown key, another shape, or a value that is not finite.
    """
    slots = {key: (params, shape) for key, params, shape in weight_slots(network)}
    if set(slots) != set(weights):
        raise RefusedError(
            "weights",
            "The weights do not name the head's trainable parameters.",
            hint=f"Expected {sorted(slots)}, got {sorted(weights)}.",
        )
    for key, (params, shape) in slots.items():
        values = np.asarray(weights[key], dtype=np.float32)
        if values.shape != shape or not np.isfinite(values).all():
            raise RefusedError(
                "weights",
                f"The weights '{key}' must be finite and of shape {list(shape)}, not {list(values.shape)}.",
                hint="Give float32 arrays of exactly the head's shapes.",
            )
        write_weights(params, values)


def _network(model: Message) -> Message:
    network = network_of(model)
    if network is None or not model.isUpdatable:
        raise RefusedError(
            "not_a_head",
            "The model is not an updatable neural network.",
            hint="Give a head: a neural network (or a pipeline ending in one) whose isUpdatable is set.",
        )
    return network


def _weights_of(network: Message) -> HeadWeights:
    found: HeadWeights = {}
    for key, params, shape in weight_slots(network):
        values = read_weights(params, shape)
        if values is None:
            raise RefusedError(
                "weights",
                f"The weights '{key}' do not have the shape {list(shape)} that their layer declares.",
                hint="Export the head again with float32 weights.",
            )
        found[key] = values
    return found
