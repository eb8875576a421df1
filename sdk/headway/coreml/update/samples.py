"""From training data by training-input name to what the engine takes: blobs and targets, every row checked.

A wrong target crashes some devices; here it is an error that names the row.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from headway.contract.errors import RefusedError
from headway.coreml.executors import PipelineExecutor
from headway.coreml.model import MLModel
from headway.coreml.neuralnetwork.executor import as_batch
from headway.coreml.update.errors import feature_error, update_error
from headway.coreml.update.plan import Loss
from headway.coreml.weights import Float32

__all__ = ["Samples", "samples_of"]

Array = NDArray[Any]


@dataclass(frozen=True, eq=False)
class Samples:
    """Blobs by input name and the target: class indices ``[n]``, or values ``[n, …]`` for squared error."""

    inputs: Mapping[str, Float32]
    target: Array

    @property
    def count(self) -> int:
        """Number of samples."""
        return len(self.target)


def samples_of(model: MLModel, data: Mapping[str, Any], loss: Loss) -> Samples:
    """Return the samples in *data*, arrays by training-input name with a leading axis, for the head of *model*.

    The earlier stages of a pipeline are run here, once.

    Raises:
        MLModelError: ``featureType``, for missing arrays, unequal lengths, wrong shapes or impossible targets.
    """
    columns = {name: np.asarray(values) for name, values in data.items()}
    count = _count(model, columns)
    head = model.head()
    features: Mapping[str, Array] = columns
    if isinstance(model.executor, PipelineExecutor):
        features = model.executor.features(columns)
    inputs: dict[str, Float32] = {}
    for feature in head.description.inputs:
        try:
            inputs[feature.name], batched = as_batch(feature, features.get(feature.name, np.empty(0)))
        except RefusedError as error:
            raise feature_error(error.message, error.hint) from error
        if not batched or not np.isfinite(inputs[feature.name]).all():
            raise feature_error(
                f"The training input '{feature.name}' must be finite and have one row per sample.",
                f"Give an array of shape [samples, {', '.join(map(str, feature.shape))}].",
            )
    name, labels = _target_feature(model, loss)
    raw = columns[name]
    known = head.network.run({key: blob[:1] for key, blob in inputs.items()})
    if loss.source not in known:
        raise update_error(f"No layer makes the loss's input '{loss.source}'.", "Validate the model.")
    output = known[loss.source]
    if loss.kind == "cross_entropy":
        return Samples(inputs, _classes(name, raw, labels, output.size, count))
    return Samples(inputs, _values(name, raw, output, count))


def _count(model: MLModel, columns: Mapping[str, Array]) -> int:
    names = [feature.name for feature in model.description.training_inputs]
    missing = [name for name in names if name not in columns]
    if missing or not names:
        raise feature_error(f"The training data lacks {missing}.", f"Give one array per training input: {names}.")
    counts = {len(columns[name]) if columns[name].ndim else 0 for name in names}
    if len(counts) != 1 or 0 in counts:
        raise feature_error(
            "The training arrays do not have one equal, positive number of rows.",
            "Give every training input the same leading axis.",
        )
    return counts.pop()


def _target_feature(model: MLModel, loss: Loss) -> tuple[str, Sequence[str | int]]:
    """Return the training input that holds the target, and the class labels when it holds labels."""
    names = {feature.name for feature in model.description.training_inputs}
    description = model.description
    if description.class_labels and loss.target not in names and description.predicted_feature_name in names:
        return description.predicted_feature_name, description.class_labels
    if loss.target not in names:
        raise feature_error(f"No training input is the loss's target '{loss.target}'.", "Validate the model.")
    return loss.target, ()


def _classes(name: str, raw: Array, labels: Sequence[str | int], classes: int, count: int) -> Array:
    flat = raw.reshape(count, -1)
    if flat.shape[1] != 1:
        raise feature_error(
            f"The target '{name}' must be one class per sample.", "Give an array [samples] or [samples, 1]."
        )
    values = flat[:, 0]
    if labels:
        index = {label: position for position, label in enumerate(labels)}
        found = [index.get(value if isinstance(value, str) else _integer(value), -1) for value in values.tolist()]
    elif values.dtype.kind in "iu" or (values.dtype.kind == "f" and bool((values == np.floor(values)).all())):
        found = values.tolist()
    else:
        raise feature_error(f"The target '{name}' must hold integers.", "Give class indices from 0.")
    bad = [row for row, value in enumerate(found) if not 0 <= value < classes]
    if bad:
        raise feature_error(
            f"Row {bad[0]} of the target '{name}' is no class of the model.",
            f"The model has {classes} classes" + (f": {list(labels)[:20]}." if labels else ", numbered from 0."),
        )
    return np.array(found, dtype=np.int64)


def _integer(value: Any) -> int:
    return int(value) if isinstance(value, int | float) and value == int(value) else -1


def _values(name: str, raw: Array, output: Float32, count: int) -> Array:
    if raw.dtype.kind not in "fiu" or raw.size != count * output.size or not np.isfinite(raw).all():
        raise feature_error(
            f"The target '{name}' must be finite numbers, {output.size} per sample.",
            f"Give an array [samples, {', '.join(map(str, output.shape[1:]))}].",
        )
    return raw.reshape(count, *output.shape[1:]).astype(np.float32)
