"""What a model says about itself: inputs, outputs, training inputs, whether it can be updated."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from headway.coreml.head import network_of
from headway.coreml.proto import Message, messages

__all__ = ["Feature", "ModelDescription", "describe"]

_DTYPES = {65568: "float32", 65600: "float64", 131104: "int32", 65552: "float16", 131080: "int8"}


@dataclass(frozen=True)
class Feature:
    """One input or output: *kind* is Core ML's type name (``multiArray``, ``string``, ``int64``, ``dictionary``, …).

    *shape* and *dtype* are set for a multi-array; *shape* is empty when the model leaves it open.
    """

    name: str
    kind: str
    shape: tuple[int, ...] = ()
    dtype: str = ""
    optional: bool = False

    @property
    def numpy_dtype(self) -> np.dtype[Any]:
        """The numpy type of the values (object for strings)."""
        if self.kind in ("string", "dictionary"):
            return np.dtype(object)
        return np.dtype({"int64": "int64", "double": "float64"}.get(self.kind, self.dtype or "float32"))


@dataclass(frozen=True)
class ModelDescription:
    """The description of a model, in the order of the specification.

    *class_labels* are the labels of a classifier (strings or integers), empty otherwise; *kind* is the model type.
    """

    kind: str
    specification_version: int
    is_updatable: bool
    inputs: tuple[Feature, ...]
    outputs: tuple[Feature, ...]
    training_inputs: tuple[Feature, ...]
    predicted_feature_name: str
    predicted_probabilities_name: str
    class_labels: tuple[str | int, ...]
    metadata: Mapping[str, str]

    def input(self, name: str) -> Feature | None:
        """Return the input called *name*, or None."""
        return next((feature for feature in self.inputs if feature.name == name), None)


def describe(model: Message) -> ModelDescription:
    """Return the description of the ``Model`` message *model*; never raises on a well-formed message."""
    description = model.description
    return ModelDescription(
        kind=model.WhichOneof("Type") or "",
        specification_version=int(model.specificationVersion),
        is_updatable=bool(model.isUpdatable),
        inputs=_features(description.input),
        outputs=_features(description.output),
        training_inputs=_features(description.trainingInput),
        predicted_feature_name=description.predictedFeatureName,
        predicted_probabilities_name=description.predictedProbabilitiesName,
        class_labels=class_labels(model),
        metadata=_metadata(description.metadata),
    )


def class_labels(model: Message) -> tuple[str | int, ...]:
    """Return the class labels of a neural network classifier (or of a pipeline ending in one), else nothing."""
    network = network_of(model)
    kind = network.WhichOneof("ClassLabels") if network is not None and _has_labels(network) else None
    if network is None or kind is None:
        return ()
    return tuple(getattr(network, kind).vector)


def _has_labels(network: Message) -> bool:
    return "ClassLabels" in network.DESCRIPTOR.oneofs_by_name


def _features(features: Message) -> tuple[Feature, ...]:
    return tuple(_feature(feature) for feature in features)


def _feature(feature: Message) -> Feature:
    kind = (feature.type.WhichOneof("Type") or "").removesuffix("Type")
    if kind != "multiArray":
        return Feature(feature.name, kind, optional=bool(feature.type.isOptional))
    array = feature.type.multiArrayType
    shape = tuple(int(size) for size in array.shape)
    return Feature(feature.name, kind, shape, dtype_name(array.dataType), bool(feature.type.isOptional))


def dtype_name(data_type: int) -> str:
    """Return numpy's name of a Core ML array type, or an empty string."""
    return _DTYPES.get(data_type, "")


def _metadata(metadata: Message) -> dict[str, str]:
    named = {
        "author": metadata.author,
        "license": metadata.license,
        "short_description": metadata.shortDescription,
        "version": metadata.versionString,
    }
    return {key: value for key, value in named.items() if value} | dict(metadata.userDefined)


def type_name(data_type: int) -> str:
    """Return Core ML's own name of an array type (``FLOAT32``), for messages."""
    enum = messages("Model").ArrayFeatureType.ArrayDataType
    return enum.Name(data_type) if data_type in enum.values() else str(data_type)
