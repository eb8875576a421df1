"""Pipelines: stages that fit each other, only the last of them updatable."""

from __future__ import annotations

from headway.coreml.proto import Message, encode
from headway.coreml.rules.finding import Finding, Findings

__all__ = ["check_pipeline"]


def check_pipeline(model: Message, stages: tuple[Message, ...], names: tuple[str, ...]) -> Findings:
    """Rules ``pipeline_*`` on *model*, whose sub-models are *stages*, called *names* (or nothing)."""
    if not stages or (names and (len(names) != len(stages) or len(set(names)) != len(names))):
        message = "The pipeline has no stages, or its names do not name each stage once."
        yield Finding("pipeline_empty", None, message, "Build it with make_pipeline.")
    if not stages:
        return
    yield from _features(model, stages)
    yield from _updatable(model, stages)
    highest = max(int(stage.specificationVersion) for stage in stages)
    if model.specificationVersion < highest:
        message = f"The pipeline says version {model.specificationVersion}, one of its stages needs {highest}."
        yield Finding("pipeline_version", None, message, f"Set specificationVersion to {highest}.")


def _features(model: Message, stages: tuple[Message, ...]) -> Findings:
    known = {feature.name: _signature(feature) for feature in model.description.input}
    for index, stage in enumerate(stages):
        for feature in stage.description.input:
            if known.get(feature.name) != _signature(feature):
                message = (
                    f"The input '{feature.name}' of stage {index} is not made before it in the same type and shape."
                )
                hint = "Force the base's output to FLOAT32 of rank 1, and describe the head's input alike."
                yield Finding("pipeline_input", f"stage {index}", message, hint)
        known.update((feature.name, _signature(feature)) for feature in stage.description.output)
    for feature in model.description.output:
        if known.get(feature.name) != _signature(feature):
            message = f"The output '{feature.name}' of the pipeline is made by no stage in the same type and shape."
            yield Finding("pipeline_output", None, message, "Describe it as the stage does.")


def _signature(feature: Message) -> bytes:
    """What must be equal for two features to be the same thing: kind, element type and shape."""
    kind = feature.type.WhichOneof("Type")
    if kind != "multiArrayType":
        return encode(feature.type)
    array = feature.type.multiArrayType
    return f"{array.dataType} {list(array.shape)}".encode("ascii")


def _updatable(model: Message, stages: tuple[Message, ...]) -> Findings:
    for index, stage in enumerate(stages):
        if stage.isUpdatable and (index < len(stages) - 1 or not model.isUpdatable):
            message = f"Stage {index} is updatable, but is not the last, or the pipeline is not updatable."
            yield Finding("pipeline_updatable", f"stage {index}", message, "Update only the last stage, and mark both.")
    if not model.isUpdatable:
        return
    if not stages[-1].isUpdatable:
        message = "The pipeline is updatable, but its last stage is not."
        yield Finding("pipeline_updatable", None, message, "Make the head updatable.")
    names = {feature.name for feature in model.description.trainingInput}
    wanted = {feature.name for feature in model.description.input} | _targets(stages[-1])
    if not wanted <= names:
        message = f"The pipeline's training inputs lack {sorted(wanted - names)}."
        hint = (
            "Describe the pipeline's inputs and the head's target; the device needs them though Apple's check does not."
        )
        yield Finding("pipeline_training_inputs", None, message, hint)


def _targets(head: Message) -> set[str]:
    own = {feature.name for feature in head.description.input}
    return {feature.name for feature in head.description.trainingInput} - own
