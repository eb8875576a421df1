"""How inputs, layers and outputs hang together, and the array mapping that an updatable network needs."""

from __future__ import annotations

from collections import Counter

from headway.coreml.proto import Message
from headway.coreml.rules.finding import Finding, Findings
from headway.coreml.rules.network import NetworkView

__all__ = ["check_features", "check_graph", "check_mapping"]

# fmt: off
_RANK5_LAYERS = frozenset({
    "convolution", "pooling", "activation", "innerProduct", "embedding", "batchnorm", "mvn", "l2normalize", "softmax",
    "lrn", "crop", "padding", "upsample", "resizeBilinear", "cropResize", "unary", "add", "multiply", "average",
    "scale", "bias", "max", "min", "dot", "reduce", "loadConstant", "reshape", "flatten", "permute", "concat",
    "split", "sequenceRepeat", "reorganizeData", "slice", "simpleRecurrent", "gru", "uniDirectionalLSTM",
    "biDirectionalLSTM", "custom",
})
# fmt: on


def check_features(model: Message) -> Findings:
    """Rule ``feature_names``: a model has inputs and outputs, each with its own name."""
    for what, features in (("input", model.description.input), ("output", model.description.output)):
        names = Counter(feature.name for feature in features)
        if not names or "" in names or max(names.values()) > 1:
            message = f"The model's {what}s are missing, without a name, or not unique."
            yield Finding("feature_names", None, message, f"Name every {what} once.")


def check_graph(view: NetworkView) -> Findings:
    """Rules ``blob_missing``, ``blob_twice`` and ``output_missing``."""
    known = set(view.inputs)
    for layer in view.network.layers:
        for blob in layer.input:
            if blob not in known:
                message = f"The layer reads '{blob}', which nothing before it makes."
                yield Finding("blob_missing", layer.name, message, "Order the layers, and check the names.")
        for blob in layer.output:
            if blob in known:
                message = f"The layer makes '{blob}', which exists already."
                yield Finding("blob_twice", layer.name, message, "Give every output its own name.")
            known.add(blob)
    description = view.model.description
    exempt = {description.predictedFeatureName, description.predictedProbabilitiesName} if view.is_classifier else set()
    for feature in description.output:
        if feature.name not in known and feature.name not in exempt:
            message = f"No layer makes the output '{feature.name}'."
            yield Finding("output_missing", None, message, "Name the last layer's output so.")


def check_mapping(view: NetworkView) -> Findings:
    """Rules ``array_mapping``, ``rank5_layer`` and ``input_rank``, for an updatable network."""
    if view.network.arrayInputShapeMapping != 0:
        message = "The network uses EXACT array mapping, in which a softmax of a vector cannot feed the loss."
        yield Finding("array_mapping", None, message, "Build it with RANK5 mapping (the builder's default).")
        return
    for layer in view.network.layers:
        kind = layer.WhichOneof("layer")
        if kind is not None and kind not in _RANK5_LAYERS:
            message = f"The layer type '{kind}' does not exist under RANK5 array mapping."
            yield Finding("rank5_layer", layer.name, message, "Replace it by layers that heads may have.")
    for feature in view.model.description.input:
        if feature.type.WhichOneof("Type") == "imageType":
            continue
        rank = len(feature.type.multiArrayType.shape)
        if feature.type.WhichOneof("Type") != "multiArrayType" or rank not in (1, 3):
            message = f"The input '{feature.name}' is no array of rank 1 or 3."
            yield Finding("input_rank", None, message, "Let the base give a vector [features].")
