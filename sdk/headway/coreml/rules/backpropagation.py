"""The way from the updatable layers to the loss: every layer on it must pass gradients."""

from __future__ import annotations

from headway.coreml.proto import Message
from headway.coreml.rules.finding import Finding, Findings
from headway.coreml.rules.network import NetworkView, loss_of

__all__ = ["check_backpropagation"]

_PASSING = ("innerProduct", "convolution", "uniDirectionalLSTM", "flatten", "pooling", "batchnorm")
_PASSING_ACTIVATIONS = ("ReLU", "sigmoid", "tanh")


def check_backpropagation(view: NetworkView) -> Findings:
    """Rules ``backpropagation`` and ``no_gradient_path``, when there is one loss of a known kind."""
    losses = view.network.updateParams.lossLayers
    found = loss_of(losses[0]) if len(losses) == 1 else None
    if found is None or found[1] not in view.makers:
        return
    kind, source, _ = found
    behind = _behind(view, source)
    trained = _after_updatable(view)
    reaches = False
    for index, layer in enumerate(view.layers):
        if index not in behind:
            continue
        reaches = reaches or layer.isUpdatable
        if not any(view.makers.get(blob) in trained for blob in layer.input):
            continue
        if not _passes(layer) and not _is_final_softmax(layer, kind, source):
            what = layer.activation.WhichOneof("NonlinearityType") if layer.HasField("activation") else None
            message = f"The type '{what or layer.WhichOneof('layer')}' does not pass gradients back."
            hint = (
                "Between trained layers and loss use inner product, convolution, ReLU, sigmoid, tanh, pooling, flatten."
            )
            yield Finding("backpropagation", layer.name, message, hint)
    if not reaches and any(True for _ in view.updatable_layers()):
        message = "No updatable layer leads to the loss."
        yield Finding("no_gradient_path", None, message, "Attach the loss to the output of the trained layers.")


def _passes(layer: Message) -> bool:
    kind = layer.WhichOneof("layer")
    if kind == "activation":
        return layer.activation.WhichOneof("NonlinearityType") in _PASSING_ACTIVATIONS
    return kind in _PASSING


def _is_final_softmax(layer: Message, loss_kind: str, source: str) -> bool:
    return loss_kind == "cross_entropy" and layer.WhichOneof("layer") == "softmax" and source in layer.output


def _behind(view: NetworkView, blob: str) -> set[int]:
    """Indices of the layers from which *blob* is computed."""
    seen: set[int] = set()
    pending = [blob]
    while pending:
        index = view.makers.get(pending.pop())
        if index is not None and index not in seen:
            seen.add(index)
            pending.extend(view.layers[index].input)
    return seen


def _after_updatable(view: NetworkView) -> set[int]:
    """Indices of the updatable layers and of all layers that depend on one."""
    found: set[int] = set()
    for index, layer in enumerate(view.layers):
        if layer.isUpdatable or any(view.makers.get(blob) in found for blob in layer.input):
            found.add(index)
    return found
