"""How many of everything a model may have, looked at before any other rule so that those stay fast."""

from __future__ import annotations

from headway.coreml.proto import Message
from headway.coreml.rules.finding import Finding, Findings

__all__ = ["check_feature_counts", "check_layer_counts"]

MAX_FEATURES = 1_000
MAX_LAYERS = 20_000
MAX_BLOBS = 1_000
MAX_LOSSES = 1_000


def check_feature_counts(model: Message, stages: tuple[Message, ...]) -> Findings:
    """Rule ``too_many`` for inputs, outputs, training inputs and the stages of a pipeline."""
    description = model.description
    parts = {
        "inputs": description.input,
        "outputs": description.output,
        "training inputs": description.trainingInput,
        "stages": stages,
    }
    for what, items in parts.items():
        if len(items) > MAX_FEATURES:
            yield _finding(what, len(items), MAX_FEATURES)


def check_layer_counts(network: Message) -> Findings:
    """Rule ``too_many`` for layers, loss layers, and the blobs of one layer."""
    if len(network.layers) > MAX_LAYERS:
        yield _finding("layers", len(network.layers), MAX_LAYERS)
        return
    if len(network.updateParams.lossLayers) > MAX_LOSSES:
        yield _finding("loss layers", len(network.updateParams.lossLayers), MAX_LOSSES)
    blobs = max((len(layer.input) + len(layer.output) for layer in network.layers), default=0)
    if blobs > MAX_BLOBS:
        yield _finding("inputs and outputs of one layer", blobs, MAX_BLOBS)


def _finding(what: str, count: int, limit: int) -> Finding:
    return Finding("too_many", None, f"The model has {count} {what}.", f"Give it at most {limit}.")
