"""What a rule reports, and the catalogue of all rules."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

__all__ = ["RULES", "Finding", "Findings"]


@dataclass(frozen=True)
class Finding:
    """One rule broken: its name in :data:`RULES`, the layer if it is about one, what is wrong and what to do."""

    rule: str
    layer: str | None
    message: str
    hint: str

    def line(self) -> str:
        """Return the finding as one printable line."""
        where = f" [{self.layer}]" if self.layer else ""
        return " ".join(f"{self.rule}{where}: {self.message} {self.hint}".split())


Findings = Iterator[Finding]
"""What every rule function returns."""

RULES = {
    "readable": "the file is a Core ML model: whole, within limits, with a sound package around it",
    "too_many": "a model has a bearable number of layers, stages, blobs, inputs and outputs",
    "not_updatable": "a head must be updatable",
    "spec_version": "an updatable model needs specification version 4 (iOS 13) or later, and one that exists",
    "model_type": "only neural networks, and pipelines ending in one, can be updated",
    "updatable_layer": "only inner products and convolutions can be updated",
    "quantized_weights": "an updatable layer has float32 weights",
    "unmarked_weights": "weights and bias of an updatable layer are marked updatable",
    "no_updatable_layer": "at least one layer is updatable",
    "name_collision": "layers and loss layers have different names",
    "loss_count": "there is exactly one loss layer",
    "loss_input": "cross-entropy reads a softmax's output; squared error reads a blob of the network",
    "loss_target": "the loss's target comes from outside the network",
    "loss_kind": "the loss is cross-entropy or squared error",
    "no_gradient_path": "an updatable layer leads to the loss",
    "backpropagation": "every layer between an updatable layer and the loss can pass gradients",
    "optimizer_kind": "the optimizer is SGD or Adam",
    "optimizer_parameters": "the optimizer has all its parameters",
    "epochs_missing": "the number of epochs is given",
    "parameter_positive": "mini-batch size and epochs are positive",
    "parameter_set": "a default is in its allowed set, which holds only sensible values",
    "parameter_range": "a default is in its allowed range, which is not empty",
    "training_inputs_count": "training needs an input and a target",
    "training_inputs_target": "training inputs include the loss's target",
    "training_inputs_model": "training inputs include an input of the model",
    "training_inputs_only_model": "training inputs are not only the model's own inputs",
    "label_type": "the training label has the type of the classifier's labels",
    "target_type": "a class target is one int32",
    "layer_parameters": "weights, biases and geometry of a layer fit each other",
    "mixed_precision": "weights and bias of a layer have the same precision",
    "weights_finite": "trainable weights are finite numbers",
    "array_mapping": "an updatable network uses RANK5 array mapping, the only one in which a softmax can feed the loss",
    "rank5_layer": "a network with RANK5 array mapping has only layers that work in it",
    "input_rank": "inputs are arrays of rank 1 or 3",
    "blob_missing": "every layer reads what an earlier layer or an input makes",
    "blob_twice": "every blob is made once",
    "output_missing": "every output of the model is made by a layer",
    "feature_names": "inputs and outputs have names, each used once",
    "class_labels": "a classifier lists its labels, each once, as many as it has probabilities",
    "pipeline_empty": "a pipeline has stages, with a name for each if any has one",
    "pipeline_depth": "a pipeline holds models, not pipelines",
    "pipeline_input": "every stage's input equals a pipeline input or an earlier output in name, type and shape",
    "pipeline_output": "every output of a pipeline is made by a stage, in the same type and shape",
    "pipeline_updatable": "only the last stage is updatable, exactly when the pipeline is",
    "pipeline_version": "a pipeline carries the highest specification version of its stages",
    "pipeline_training_inputs": "an updatable pipeline describes its training inputs and the target",
}
"""Every rule and what it asks for."""
