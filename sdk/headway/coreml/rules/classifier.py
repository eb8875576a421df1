"""Class labels of a classifier."""

from __future__ import annotations

from headway.coreml.proto import Message
from headway.coreml.rules.finding import Finding, Findings
from headway.coreml.rules.network import NetworkView

__all__ = ["check_classifier"]


def check_classifier(view: NetworkView) -> Findings:
    """Rule ``class_labels``."""
    if not view.is_classifier:
        return
    kind = view.network.WhichOneof("ClassLabels")
    labels = list(getattr(view.network, kind).vector) if kind is not None else []
    if not labels or len(set(labels)) != len(labels):
        message = "The classifier lists no labels, or one of them twice."
        yield Finding("class_labels", None, message, "Give every class its own label.")
        return
    width = _probabilities(view)
    if width is not None and width != len(labels):
        message = f"The classifier has {len(labels)} labels for {width} probabilities."
        yield Finding("class_labels", None, message, "Give exactly one label per output channel.")


def _probabilities(view: NetworkView) -> int | None:
    """Return the channels of the probability blob, when they can be read off the layers before it."""
    layers = view.layers
    blob = view.network.labelProbabilityLayerName or (layers[-1].output[0] if layers and layers[-1].output else "")
    seen: set[str] = set()
    while blob in view.makers and blob not in seen:
        seen.add(blob)
        layer: Message = view.layers[view.makers[blob]]
        kind = layer.WhichOneof("layer")
        if kind == "innerProduct":
            return int(layer.innerProduct.outputChannels)
        if kind not in ("softmax", "activation", "batchnorm") or len(layer.input) != 1:
            return None
        blob = layer.input[0]
    return None
