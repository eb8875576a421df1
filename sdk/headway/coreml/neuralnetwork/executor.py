"""Predicting with a NeuralNetwork model: arrays in and out, RANK5 mapping, class labels.

RANK5 mapping gives an array ``[c]`` the place of channels and ``[c, h, w]`` that of channels, height and width.  Every
input may carry one more leading axis, the batch; all outputs then carry it too.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from headway.contract.errors import IncompatibleError, RefusedError
from headway.coreml.description import Feature, ModelDescription
from headway.coreml.neuralnetwork.layer import Weights, bad_blob
from headway.coreml.neuralnetwork.network import Network, compile_network
from headway.coreml.proto import Message
from headway.coreml.weights import Float32

__all__ = ["NeuralNetworkExecutor", "as_batch", "blob_of"]

Array = NDArray[Any]


@dataclass(frozen=True)
class NeuralNetworkExecutor:
    """A compiled neural network, classifier or regressor.

    *probabilities* names the blob from which a classifier takes its label, empty for the other kinds.
    """

    description: ModelDescription
    network: Network
    probabilities: str

    @classmethod
    def of(cls, network: Message, description: ModelDescription) -> NeuralNetworkExecutor:
        """Compile *network*; raises as :func:`compile_network`, and IncompatibleError on inputs that are no arrays."""
        for feature in description.inputs:
            if feature.kind != "multiArray" or len(feature.shape) not in (1, 3):
                raise IncompatibleError(
                    "unsupported_input",
                    f"The input '{feature.name}' is not an array of rank 1 or 3.",
                    hint="Give a head that reads a feature vector.",
                )
        compiled = compile_network(network, tuple(feature.name for feature in description.inputs))
        probabilities = ""
        if description.class_labels:
            last = compiled.nodes[-1].target if compiled.nodes else ""
            probabilities = network.labelProbabilityLayerName or last
        return cls(description, compiled, probabilities)

    def predict(self, inputs: Mapping[str, Array], weights: Weights | None = None) -> dict[str, Array]:
        """Return the outputs by name for *inputs*, using *weights* in place of the specification's when given.

        A classifier's probabilities are an array ``[classes]`` in the order of ``description.class_labels``.

        Raises:
            RefusedError: code ``input`` for a missing input or a wrong shape, ``blob_shape`` inside the network.
        """
        blobs: dict[str, Float32] = {}
        batched = False
        for feature in self.description.inputs:
            blobs[feature.name], has_batch = blob_of(feature, inputs)
            batched = batched or has_batch
        known = self.network.run(blobs, weights)
        outputs = {feature.name: self._output(feature, known) for feature in self.description.outputs}
        return outputs if batched else {name: values[0] for name, values in outputs.items()}

    def _output(self, feature: Feature, known: Mapping[str, Float32]) -> Array:
        if self.description.class_labels and feature.kind in ("string", "int64"):
            return self._labels(feature, known)
        name = self.probabilities if feature.kind == "dictionary" else feature.name
        if name not in known:
            raise RefusedError("network", f"No layer makes the output '{feature.name}'.", hint="Validate the model.")
        blob = known[name]
        if feature.kind == "dictionary" or len(feature.shape) == 1:
            return _channels(blob)
        if not feature.shape:
            return _squeezed(blob)
        if math.prod(feature.shape) * len(blob) != blob.size:
            raise bad_blob(feature.name, blob, f"the shape {list(feature.shape)} of the output")
        return blob.reshape(len(blob), *feature.shape)

    def _labels(self, feature: Feature, known: Mapping[str, Float32]) -> Array:
        """Return the most probable label of each row."""
        labels = np.array(self.description.class_labels, dtype=feature.numpy_dtype)
        chances = _channels(known[self.probabilities]) if self.probabilities in known else None
        if chances is None or chances.shape[1] != len(labels):
            raise RefusedError(
                "network",
                f"The classifier has {len(labels)} labels, but not as many probabilities.",
                hint="Validate the model.",
            )
        picked: Array = labels[chances.argmax(axis=1)]
        return picked


def blob_of(feature: Feature, inputs: Mapping[str, Array]) -> tuple[Float32, bool]:
    """Return the blob of *feature* and whether *inputs* gave it a batch axis.

    Raises:
        RefusedError: code ``input``.
    """
    if feature.name not in inputs:
        raise RefusedError(
            "input", f"The input '{feature.name}' is missing.", hint=f"Given: {sorted(inputs)}.", input=feature.name
        )
    return as_batch(feature, inputs[feature.name])


def as_batch(feature: Feature, values: Array) -> tuple[Float32, bool]:
    """Return *values* as float32 ``[n, *shape]`` and whether they came with the leading axis."""
    values = np.asarray(values)
    if values.dtype.kind in "fiub":
        if values.shape == feature.shape:
            return np.ascontiguousarray(values[None], dtype=np.float32), False
        if values.shape[1:] == feature.shape and len(values):
            return np.ascontiguousarray(values, dtype=np.float32), True
    raise RefusedError(
        "input",
        f"The input '{feature.name}' is {values.dtype} of shape {list(values.shape)}.",
        hint=f"Give numbers of shape {list(feature.shape)}, or with one more leading axis for a batch.",
        input=feature.name,
    )


def _channels(blob: Float32) -> Float32:
    return blob.reshape(len(blob), -1)


def _squeezed(blob: Float32) -> Float32:
    return _channels(blob) if blob.ndim == 4 and blob.shape[2:] == (1, 1) else blob
