"""``MLModel``: one face for every model that this runtime executes."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from headway.contract.digests import Digest
from headway.coreml.description import ModelDescription, describe
from headway.coreml.executors import Executor, PipelineExecutor, executor_of
from headway.coreml.head import network_of, write_head_weights
from headway.coreml.neuralnetwork.executor import NeuralNetworkExecutor
from headway.coreml.neuralnetwork.layer import Weights
from headway.coreml.package import Package, read_package
from headway.coreml.proto import encode, parse_model
from headway.coreml.update.errors import feature_error, io_error, parameter_error, update_error
from headway.coreml.update.keys import MLModelConfiguration, MLParameterKey
from headway.coreml.update.plan import TrainingPlan, plan_of
from headway.coreml.writer import write_file, write_package

__all__ = ["MLModel"]

Array = NDArray[Any]


class MLModel:
    """A loaded model: a ``.mlmodel``, a ``.mlpackage`` or a zip of one, of any type that this runtime executes.

    Immutable; training gives a new object.  *weights* replaces the trainable weights of the specification.
    """

    def __init__(
        self,
        model: Path | str | Package,
        configuration: MLModelConfiguration | None = None,
        *,
        weights: Weights | None = None,
    ) -> None:
        self.package = model if isinstance(model, Package) else read_package(model)
        self.configuration = configuration or MLModelConfiguration()
        self._weights = weights

    @cached_property
    def description(self) -> ModelDescription:
        """Inputs, outputs, training inputs, labels, and whether the model can be updated."""
        return describe(self.package.spec)

    @cached_property
    def executor(self) -> Executor:
        """What runs the model; compiled on first use."""
        return executor_of(self.package)

    @property
    def digest(self) -> Digest:
        """Digest of the file or package that was loaded."""
        return self.package.digest

    @cached_property
    def spec_bytes(self) -> bytes:
        """The specification with the current weights: what a ``.mlmodel`` file holds."""
        if self._weights is None:
            return self.package.spec_bytes
        model = parse_model(self.package.spec_bytes)
        network = network_of(model)
        slots = self.trainable_keys
        write_head_weights(network, {key: self._weights[key] for key in slots})
        return encode(model)

    @cached_property
    def trainable_keys(self) -> tuple[str, ...]:
        """Keys of the trainable weights (``"<layer>.weights"``, ``"<layer>.biases"``), in layer order."""
        network = network_of(self.package.spec)
        layers = [] if network is None else [layer for layer in network.layers if layer.isUpdatable]
        known = self._known_weights()
        return tuple(
            f"{layer.name}.{k}" for layer in layers for k in ("weights", "biases") if f"{layer.name}.{k}" in known
        )

    def predict(self, inputs: Mapping[str, Array]) -> dict[str, Array]:
        """Return the outputs by name; every input may carry one more leading axis, the batch.

        Raises:
            RefusedError: code ``input``, for a missing input or a wrong shape or type.
            IncompatibleError: for a model that this runtime does not execute.
        """
        executor = self.executor
        if self._weights is not None and isinstance(executor, NeuralNetworkExecutor | PipelineExecutor):
            return executor.predict(inputs, self._weights)
        return executor.predict(inputs)

    def parameter_value(self, key: MLParameterKey) -> Any:
        """Return the value of *key*: a float32 array for scoped weights and biases, else a number or a boolean.

        Raises:
            MLModelError: ``parameters``, for a key that this model does not have.
        """
        if key.name in ("weights", "biases") and key.scope is not None:
            known = self._known_weights()
            layer = key.scope.rsplit(".", 1)[-1] if f"{key.scope}.{key.name}" not in known else key.scope
            if f"{layer}.{key.name}" in known:
                return np.array(known[f"{layer}.{key.name}"])
        elif self.description.is_updatable:
            values = self.training_plan().parameters()
            if key in values:
                return values[key]
        raise parameter_error(f"The model has no parameter {key}.", "Scope weights and biases to a layer's name.")

    def training_plan(self) -> TrainingPlan:
        """Return what training would do under this model's configuration; raises as :func:`plan_of`."""
        network = network_of(self.package.spec)
        if network is None or not self.description.is_updatable:
            raise update_error("The model is not updatable.", "Give a head whose isUpdatable is set.")
        return plan_of(network.updateParams, self.configuration.parameters)

    @property
    def weights(self) -> Weights:
        """All weights of the trainable network by key, trainable or not; empty for other models."""
        return self._known_weights()

    def configured(self, configuration: MLModelConfiguration) -> MLModel:
        """Return this model under another configuration; the compiled executor is shared."""
        model = MLModel(self.package, configuration, weights=self._weights)
        model.__dict__["executor"] = self.executor
        return model

    def with_weights(self, weights: Weights) -> MLModel:
        """Return this model with other weights; the compiled executor is shared."""
        model = MLModel(self.package, self.configuration, weights=weights)
        model.__dict__["executor"] = self.executor
        return model

    def write(self, to: Path | str) -> None:
        """Write the model with its current weights to *to*: a package as a folder, anything else as ``.mlmodel``.

        What was at *to* is replaced only when the new model is complete.

        Raises:
            MLModelError: ``io``.
        """
        target = Path(to)
        try:
            if self.package.weights is None and (target.suffix != ".mlpackage" or not self.package.is_package):
                write_file(target, self.spec_bytes)
            else:
                contents = {**self.package.contents, self.package.model_path: self.spec_bytes}
                write_package(target, contents)
        except OSError as error:
            raise io_error(
                f"The model cannot be written to {target.name!r}: {error.strerror}.", "Check the folder."
            ) from error

    def _known_weights(self) -> Weights:
        executor = self.executor
        if isinstance(executor, PipelineExecutor):
            executor = executor.stages[-1]
        if not isinstance(executor, NeuralNetworkExecutor):
            return {}
        return self._weights if self._weights is not None else executor.network.weights

    def head(self) -> NeuralNetworkExecutor:
        """Return the neural network that can be trained: the model itself or the last stage of its pipeline.

        Raises:
            MLModelError: ``featureType``, when there is none.
        """
        executor = self.executor
        if isinstance(executor, PipelineExecutor):
            executor = executor.stages[-1]
        if not isinstance(executor, NeuralNetworkExecutor):
            raise feature_error("The model has no neural network to train.", "Give a head.")
        return executor
