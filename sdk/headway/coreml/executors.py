"""Which executor runs a model: neural network here, ML Program through ONNX Runtime, pipelines stage by stage."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Protocol

from numpy.typing import NDArray

from headway.contract.digests import digest_of
from headway.contract.errors import IncompatibleError, RefusedError
from headway.coreml.description import describe
from headway.coreml.head import network_of
from headway.coreml.neuralnetwork.executor import NeuralNetworkExecutor
from headway.coreml.neuralnetwork.layer import Weights
from headway.coreml.package import Package
from headway.coreml.proto import Message, encode

__all__ = ["Executor", "PipelineExecutor", "executor_of", "stages_of"]

Array = NDArray[Any]


class Executor(Protocol):
    """Something that predicts."""

    def predict(self, inputs: Mapping[str, Array]) -> dict[str, Array]:
        """Return the outputs by name; every input may carry one more leading axis, the batch."""


@dataclass(frozen=True)
class PipelineExecutor:
    """Models run one after the other; each sees the pipeline's inputs and all earlier outputs."""

    stages: tuple[Executor, ...]
    outputs: tuple[str, ...]

    def features(self, inputs: Mapping[str, Array]) -> dict[str, Array]:
        """Return the inputs and the outputs of all stages but the last."""
        known = dict(inputs)
        for stage in self.stages[:-1]:
            known.update(stage.predict(known))
        return known

    def predict(self, inputs: Mapping[str, Array], weights: Weights | None = None) -> dict[str, Array]:
        """Return the pipeline's outputs; *weights* replaces those of the last stage, a neural network."""
        known = self.features(inputs)
        last = self.stages[-1]
        if weights is not None and isinstance(last, NeuralNetworkExecutor):
            known.update(last.predict(known, weights))
        else:
            known.update(last.predict(known))
        missing = [name for name in self.outputs if name not in known]
        if missing:
            raise RefusedError("pipeline", f"No stage makes the output '{missing[0]}'.", hint="Validate the pipeline.")
        return {name: known[name] for name in self.outputs}


def stages_of(model: Message) -> tuple[Message, ...] | None:
    """Return the sub-models of a pipeline of any kind, or None when *model* is no pipeline."""
    kind = model.WhichOneof("Type")
    if kind == "pipeline":
        return tuple(model.pipeline.models)
    if kind in ("pipelineClassifier", "pipelineRegressor"):
        return tuple(getattr(model, kind).pipeline.models)
    return None


def executor_of(package: Package, *, depth: int = 0) -> Executor:
    """Return the executor of the model in *package*.

    Raises:
        IncompatibleError: for a model type, layer or operation that is not executed here.
    """
    model = package.spec
    if model.WhichOneof("Type") == "mlProgram":
        from headway.coreml.mlprogram import compile_program

        program: Executor = compile_program(package)
        return program
    stages = stages_of(model)
    if stages and depth == 0:
        parts = tuple(executor_of(_stage_package(package, stage), depth=1) for stage in stages)
        return PipelineExecutor(parts, tuple(feature.name for feature in model.description.output))
    network = network_of(model) if stages is None else None
    if network is None:
        raise IncompatibleError(
            "unsupported_model",
            f"This runtime does not execute the model type '{model.WhichOneof('Type')}'.",
            hint="Give a neural network, an ML Program, or a pipeline of these.",
        )
    return NeuralNetworkExecutor.of(network, describe(model))


def _stage_package(package: Package, stage: Message) -> Package:
    """Return *package* as if *stage*, one of its sub-models, were its model; the digest covers both."""
    spec_bytes = encode(stage)
    digest = digest_of(f"{package.digest} {digest_of(spec_bytes)}".encode("ascii"))
    return replace(package, spec=stage, spec_bytes=spec_bytes, digest=digest)
