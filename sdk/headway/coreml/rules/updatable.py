"""Layers marked updatable: their type, their weights, their names."""

from __future__ import annotations

from collections import Counter

import numpy as np

from headway.coreml.proto import Message
from headway.coreml.rules.finding import Finding, Findings
from headway.coreml.rules.network import NetworkView
from headway.coreml.weights import kind_of

__all__ = ["check_updatable_layers"]

_TRAINABLE = ("innerProduct", "convolution")


def check_updatable_layers(view: NetworkView) -> Findings:
    """Rules ``no_updatable_layer``, ``updatable_layer``, ``name_collision`` and those on their weights."""
    yield from _names(view)
    layers = list(view.updatable_layers())
    if not layers:
        hint = "Mark the dense layers and their weights as updatable (make_updatable in coremltools)."
        yield Finding("no_updatable_layer", None, "The model is updatable, but none of its layers is.", hint)
    for layer in layers:
        kind = layer.WhichOneof("layer")
        if kind not in _TRAINABLE:
            message = f"A layer of the type '{kind}' cannot be updated."
            yield Finding("updatable_layer", layer.name, message, "Update only inner products and convolutions.")
            continue
        body = getattr(layer, kind)
        yield from _weights(layer.name, "weights", body.weights)
        if body.hasBias:
            yield from _weights(layer.name, "bias", body.bias)


def _weights(layer: str, what: str, params: Message) -> Findings:
    kind = kind_of(params)
    if kind in ("quantised", "mixed", "float16"):
        message = f"The {what} of this updatable layer are {kind}."
        yield Finding("quantized_weights", layer, message, "Keep float32 in what is to be trained.")
    if not params.isUpdatable:
        message = f"The {what} of this updatable layer are not marked updatable."
        yield Finding("unmarked_weights", layer, message, "Set isUpdatable on weights and bias too.")
    if kind == "float32" and not np.isfinite(np.array(params.floatValue, dtype=np.float32)).all():
        message = f"The {what} of this layer hold NaN or infinity."
        yield Finding("weights_finite", layer, message, "Train again with a lower learning rate.")


def _names(view: NetworkView) -> Findings:
    names = Counter(layer.name for layer in view.network.layers)
    names.update(layer.name for layer in view.network.updateParams.lossLayers)
    for name, count in names.items():
        if count > 1:
            message = f"{count} layers or losses have the name {name!r}."
            yield Finding("name_collision", name, message, "Give every layer and loss its own name.")
