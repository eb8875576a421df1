"""What is inside a model, as plain data: interface, layers or operations, parameters, sizes, training.

The result is JSON-ready and complete enough to render a table from; it reads headers and shapes, never runs the model.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from headway.coreml.blob import blob_references
from headway.coreml.description import Feature, describe
from headway.coreml.executors import stages_of
from headway.coreml.head import network_of
from headway.coreml.package import Package, read_package
from headway.coreml.proto import Message
from headway.coreml.weights import count_of, kind_of

__all__ = ["inspect_model", "inspect_package"]


def inspect_model(path: Path | str) -> dict[str, Any]:
    """Return what is inside the model at *path*; raises as :func:`~headway.coreml.package.read_package`."""
    return inspect_package(read_package(path))


def inspect_package(package: Package) -> dict[str, Any]:
    """Return what is inside *package*.

    ``feature_contract`` holds what another model must match: the array outputs of a frozen model (a base), the array
    inputs of an updatable one (a head).
    """
    found = _model(package.spec)
    return {
        "schema": 1,
        "digest": package.digest,
        "bytes": package.size,
        "files": [{"path": f.path, "bytes": f.size, "digest": f.digest} for f in package.files],
        **found,
    }


def _model(model: Message) -> dict[str, Any]:
    description = describe(model)
    contract = description.inputs if description.is_updatable else description.outputs
    found: dict[str, Any] = {
        "type": description.kind,
        "specification_version": description.specification_version,
        "updatable": description.is_updatable,
        "inputs": [_feature(feature) for feature in description.inputs],
        "outputs": [_feature(feature) for feature in description.outputs],
        "training_inputs": [_feature(feature) for feature in description.training_inputs],
        "class_labels": list(description.class_labels),
        "feature_contract": [_feature(feature) for feature in contract if feature.kind == "multiArray"],
        "metadata": dict(description.metadata),
    }
    stages = stages_of(model)
    if stages is not None:
        found["stages"] = [_model(stage) for stage in stages]
        return found
    if description.kind == "mlProgram":
        found["operations"] = dict(Counter(_operations(model.mlProgram)).most_common())
        found["weights"] = _weights(model)
        return found
    network = network_of(model)
    if network is not None:
        found["layers"] = [_layer(layer) for layer in network.layers]
        if description.is_updatable:
            found["training"] = _training(network.updateParams)
    return found


def _feature(feature: Feature) -> dict[str, Any]:
    found: dict[str, Any] = {"name": feature.name, "type": feature.kind}
    if feature.kind == "multiArray":
        found |= {"dtype": feature.dtype, "shape": list(feature.shape)}
    return found


def _operations(program: Message) -> Iterator[str]:
    """Yield the type of every operation, nested blocks included."""
    pending = [block for function in program.functions.values() for block in function.block_specializations.values()]
    while pending:
        block = pending.pop()
        for operation in block.operations:
            yield operation.type
            pending.extend(operation.blocks)


def _weights(model: Message) -> list[dict[str, Any]]:
    """What the weight files hold for *model*, by scalar type as stored, the largest first."""
    entries = {(one.file, one.offset): one for one in blob_references(model)}.values()
    kinds = {one.kind for one in entries}
    alike = {kind: [one for one in entries if one.kind == kind] for kind in kinds}
    rows = [
        {
            "type": kind.lower(),
            "tensors": len(found),
            "elements": sum(one.elements or 0 for one in found),
            "bytes": sum(one.size or 0 for one in found),
        }
        for kind, found in alike.items()
    ]
    return sorted(rows, key=lambda row: (-row["bytes"], row["type"]))


def _layer(layer: Message) -> dict[str, Any]:
    kind = layer.WhichOneof("layer") or ""
    body = getattr(layer, kind) if kind else None
    detail = body.WhichOneof("NonlinearityType") if kind == "activation" and body is not None else ""
    weights = list(_weight_params(body)) if body is not None else []
    return {
        "name": layer.name,
        "type": kind + (f" {detail}" if detail else ""),
        "inputs": list(layer.input),
        "outputs": list(layer.output),
        "shape": _shape(kind, body),
        "parameters": sum(count_of(params) for params in weights),
        "precision": "/".join(sorted({kind_of(params) for params in weights} - {"empty"})),
        "updatable": bool(layer.isUpdatable),
    }


def _weight_params(body: Message) -> Iterator[Message]:
    for field, value in body.ListFields():
        if field.message_type is not None and field.message_type.name == "WeightParams" and not field.is_repeated:
            yield value


def _shape(kind: str, body: Message) -> str:
    if kind == "innerProduct":
        return f"{body.inputChannels} → {body.outputChannels}"
    if kind == "convolution":
        kernel = "x".join(str(size) for size in body.kernelSize) or "3x3"
        return f"{body.kernelChannels * (body.nGroups or 1)} → {body.outputChannels}, {kernel}"
    return ""


def _training(update: Message) -> dict[str, Any]:
    optimizer = update.optimizer.WhichOneof("OptimizerType")
    found: dict[str, Any] = {"optimizer": (optimizer or "").removesuffix("Optimizer"), "parameters": {}}
    if optimizer is not None:
        for field, value in getattr(update.optimizer, optimizer).ListFields():
            found["parameters"][field.name] = _allowed(value)
    for name in ("epochs", "shuffle", "seed"):
        if update.HasField(name):
            found["parameters"][name] = _allowed(getattr(update, name))
    found["losses"] = [
        {"name": loss.name, "type": (loss.WhichOneof("LossLayerType") or "").removesuffix("LossLayer")}
        for loss in update.lossLayers
    ]
    return found


def _allowed(parameter: Message) -> dict[str, Any]:
    found: dict[str, Any] = {"default": parameter.defaultValue}
    if "AllowedValues" not in parameter.DESCRIPTOR.oneofs_by_name:
        return found
    match parameter.WhichOneof("AllowedValues"):
        case "set":
            found["allowed"] = list(parameter.set.values)
        case "range":
            found["range"] = [parameter.range.minValue, parameter.range.maxValue]
    return found
