"""Training inputs: what a sample consists of."""

from __future__ import annotations

from headway.coreml.description import type_name
from headway.coreml.proto import Message
from headway.coreml.rules.finding import Finding, Findings
from headway.coreml.rules.network import NetworkView, loss_of

__all__ = ["check_training_inputs"]

_INT32 = 131104
_LABEL_TYPES = {"stringClassLabels": "stringType", "int64ClassLabels": "int64Type"}


def check_training_inputs(view: NetworkView) -> Findings:
    """Rules ``training_inputs_*``, ``label_type`` and ``target_type``, in the order in which one hides the next."""
    described = view.model.description.trainingInput
    names = [feature.name for feature in described]
    if len(names) <= 1:
        message = f"The model describes {len(names)} training inputs."
        yield Finding("training_inputs_count", None, message, "Describe the model's input and the loss's target.")
        return
    own = [name for name in names if name in view.inputs]
    if len(own) == len(names):
        message = "All training inputs are inputs of the model: none is the target."
        yield Finding("training_inputs_only_model", None, message, "Add the loss's target.")
        return
    if not own:
        message = "No training input is an input of the model."
        yield Finding("training_inputs_model", None, message, "Add the model's input under its own name.")
        return
    yield from _target(view)


def _target(view: NetworkView) -> Findings:
    losses = view.network.updateParams.lossLayers
    found = loss_of(losses[0]) if len(losses) == 1 else None
    if found is None:
        return
    kind, source, target = found
    description = view.model.description
    takes_label = view.is_classifier and source in _probability_names(view)
    wanted = description.predictedFeatureName if takes_label else target
    feature = next((f for f in description.trainingInput if f.name == wanted), None)
    if feature is None:
        message = f"The training inputs do not include the target '{wanted}'."
        yield Finding("training_inputs_target", None, message, "Describe it under exactly that name.")
    elif takes_label:
        yield from _label(view, feature)
    elif kind == "cross_entropy":
        yield from _class_index(feature)


def _probability_names(view: NetworkView) -> tuple[str, ...]:
    return (view.model.description.predictedProbabilitiesName, view.network.labelProbabilityLayerName)


def _label(view: NetworkView, feature: Message) -> Findings:
    expected = _LABEL_TYPES.get(view.network.WhichOneof("ClassLabels") or "")
    found = feature.type.WhichOneof("Type")
    if expected is not None and found != expected:
        message = f"The training label '{feature.name}' is {found}, but the classifier's labels are {expected}."
        yield Finding("label_type", None, message, "Describe it with the type of the labels.")


def _class_index(feature: Message) -> Findings:
    array = feature.type.multiArrayType
    is_array = feature.type.WhichOneof("Type") == "multiArrayType"
    if not is_array or array.dataType != _INT32 or set(array.shape) != {1}:
        kind = f"{type_name(array.dataType)} {list(array.shape[:5])}" if is_array else feature.type.WhichOneof("Type")
        message = f"The target '{feature.name}' is {kind}: devices read one class index as INT32 [1]."
        yield Finding("target_type", None, message, "Describe it as an INT32 array of shape [1].")
