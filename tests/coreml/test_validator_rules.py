"""Every rule: one change to a valid head that breaks exactly that rule."""

import numpy as np
import pytest

from headway.coreml import HeadLayout, initial_head
from headway.coreml.hyperparameters import Adam
from headway.coreml.proto import messages, parse_model
from headway.coreml.validator import RULES, Finding, validate, validate_model

from .neural_specs import DOUBLE, FLOAT32, INT32, add_array, add_dense, add_layer, fill, new_model
from .sample_models import pipeline, squared_error_model, to_classifier


def head(optimizer=None, **options):
    layout = HeadLayout(6, 3, hidden=(4,), **({"optimizer": optimizer} if optimizer else {}), **options)
    return parse_model(initial_head(layout, 1))


def classifier(labels=("a", "b", "c")):
    return to_classifier(head(), list(labels))


def mse():
    return squared_error_model()


def adam():
    return head(Adam())


def update(model):
    return model.neuralNetwork.updateParams


def sgd(model):
    return update(model).optimizer.sgdOptimizer


def layer(model, name):
    return next(item for item in model.neuralNetwork.layers if item.name == name)


CASES = []


def breaks(rule, make=head):
    """Register a mutation of the valid model that *make* gives, breaking exactly *rule*."""

    def register(mutate):
        CASES.append(pytest.param(rule, make, mutate, id=f"{rule}-{mutate.__name__}"))
        return mutate

    return register


@pytest.mark.parametrize("make", [head, classifier, mse, adam, pipeline, lambda: classifier((1, 2, 3))])
def test_valid_models_have_no_findings(make):
    assert validate_model(make(), require_updatable=True) == []


def test_every_rule_has_a_case():
    assert {case.values[0] for case in CASES} | {"readable", "not_updatable"} == set(RULES)


def run_cases():
    return CASES


@breaks("too_many")
def very_many_layers(model):
    for _ in range(20_001):
        model.neuralNetwork.layers.add()


@breaks("too_many")
def very_many_outputs(model):
    for _ in range(1_001):
        model.description.output.add()


@breaks("too_many")
def very_many_blobs(model):
    layer(model, "softmax").input.extend(["features"] * 1_001)


@breaks("too_many")
def very_many_losses(model):
    for _ in range(1_001):
        update(model).lossLayers.add()


@breaks("spec_version")
def version_three(model):
    model.specificationVersion = 3


@breaks("spec_version")
def version_of_the_far_future(model):
    model.specificationVersion = 99


@breaks("model_type")
def updatable_ml_program(model):
    model.mlProgram.SetInParent()


@breaks("model_type")
def updatable_glm(model):
    model.glmClassifier.SetInParent()


@breaks("model_type")
def no_type_at_all(model):
    model.ClearField("neuralNetwork")


@breaks("updatable_layer")
def updatable_softmax(model):
    layer(model, "softmax").isUpdatable = True


@breaks("updatable_layer")
def updatable_lstm_before_the_head(model):
    extra = add_layer(model.neuralNetwork, "lstm", "features", "aside")
    extra.uniDirectionalLSTM.SetInParent()
    extra.isUpdatable = True


@breaks("quantized_weights")
def eight_bit_weights(model):
    body = layer(model, "dense_0").innerProduct
    body.weights.ClearField("floatValue")
    body.weights.rawValue = bytes(24)
    body.weights.quantization.numberOfBits = 8
    body.weights.quantization.linearQuantization.scale.append(1)


@breaks("quantized_weights")
def half_weights_and_bias(model):
    body = layer(model, "dense_0").innerProduct
    for params, count in ((body.weights, 24), (body.bias, 4)):
        params.ClearField("floatValue")
        params.float16Value = bytes(2 * count)


@breaks("unmarked_weights")
def weights_not_marked(model):
    layer(model, "dense_0").innerProduct.weights.isUpdatable = False


@breaks("unmarked_weights")
def bias_not_marked(model):
    layer(model, "dense_1").innerProduct.bias.isUpdatable = False


@breaks("no_updatable_layer")
def no_layer_marked(model):
    for name in ("dense_0", "dense_1"):
        layer(model, name).isUpdatable = False


@breaks("name_collision")
def two_layers_of_one_name(model):
    layer(model, "activation_0").name = "dense_0"


@breaks("name_collision")
def a_loss_named_like_a_layer(model):
    update(model).lossLayers[0].name = "softmax"


@breaks("loss_count")
def two_losses(model):
    update(model).lossLayers.add().CopyFrom(update(model).lossLayers[0])
    update(model).lossLayers[1].name = "second"


@breaks("loss_count")
def no_loss(model):
    del update(model).lossLayers[:]


@breaks("loss_input")
def loss_on_the_logits(model):
    update(model).lossLayers[0].categoricalCrossEntropyLossLayer.input = "dense_1_output"


@breaks("loss_input")
def loss_on_nothing(model):
    update(model).lossLayers[0].categoricalCrossEntropyLossLayer.input = "nothing"


@breaks("loss_input", mse)
def squared_error_of_an_input(model):
    update(model).lossLayers[0].meanSquaredErrorLossLayer.input = "x"


@breaks("loss_target", mse)
def target_made_by_a_layer(model):
    update(model).lossLayers[0].meanSquaredErrorLossLayer.target = "h"
    model.description.trainingInput[1].name = "h"


@breaks("loss_target")
def class_target_made_by_a_layer(model):
    update(model).lossLayers[0].categoricalCrossEntropyLossLayer.target = "dense_0_output"
    model.description.trainingInput[1].name = "dense_0_output"


@breaks("loss_kind")
def loss_of_no_kind(model):
    update(model).lossLayers[0].ClearField("categoricalCrossEntropyLossLayer")


@breaks("no_gradient_path", mse)
def loss_beside_the_trained_layer(model):
    add_layer(model.neuralNetwork, "side", "x", "aside").activation.ReLU.SetInParent()
    update(model).lossLayers[0].meanSquaredErrorLossLayer.input = "aside"


@breaks("backpropagation")
def leaky_relu(model):
    layer(model, "activation_0").activation.leakyReLU.alpha = 0.1


@breaks("backpropagation")
def elu(model):
    layer(model, "activation_0").activation.ELU.alpha = 0.1


@breaks("backpropagation")
def normalisation_in_the_way(model):
    layer(model, "activation_0").lrn.SetInParent()


@breaks("backpropagation")
def softmax_in_the_middle(model):
    layer(model, "activation_0").softmax.SetInParent()


@breaks("optimizer_kind")
def no_optimizer(model):
    update(model).ClearField("optimizer")


@breaks("optimizer_parameters")
def sgd_without_rate(model):
    sgd(model).ClearField("learningRate")


@breaks("optimizer_parameters")
def sgd_without_batch(model):
    sgd(model).ClearField("miniBatchSize")


for _name in ("learningRate", "miniBatchSize", "beta1", "beta2", "eps"):

    def _without(model, name=_name):
        update(model).optimizer.adamOptimizer.ClearField(name)

    _without.__name__ = f"adam_without_{_name}"
    breaks("optimizer_parameters", adam)(_without)


@breaks("epochs_missing")
def no_epochs(model):
    update(model).ClearField("epochs")


@breaks("parameter_positive")
def zero_epochs(model):
    update(model).epochs.defaultValue = 0


@breaks("parameter_positive")
def negative_batch(model):
    sgd(model).miniBatchSize.defaultValue = -10


@breaks("parameter_set")
def epochs_outside_the_set(model):
    update(model).epochs.defaultValue = 5000


@breaks("parameter_set")
def a_set_with_zero(model):
    sgd(model).miniBatchSize.set.values.append(0)


@breaks("parameter_set")
def an_empty_set(model):
    del sgd(model).miniBatchSize.set.values[:]


@breaks("parameter_set")
def seed_outside_its_set(model):
    update(model).seed.defaultValue = 5
    update(model).seed.set.values.append(-4)


@breaks("parameter_range")
def rate_outside_the_range(model):
    sgd(model).learningRate.defaultValue = 1.5


@breaks("parameter_range")
def range_upside_down(model):
    sgd(model).learningRate.range.minValue = 2


@breaks("parameter_range")
def rate_is_not_a_number(model):
    sgd(model).learningRate.defaultValue = float("nan")


@breaks("parameter_range")
def batch_range_from_zero(model):
    sgd(model).miniBatchSize.range.minValue = 0
    sgd(model).miniBatchSize.range.maxValue = 20


@breaks("parameter_range")
def batch_outside_its_range(model):
    sgd(model).miniBatchSize.range.minValue = 1
    sgd(model).miniBatchSize.range.maxValue = 5


@breaks("training_inputs_count")
def only_one_training_input(model):
    del model.description.trainingInput[1]


@breaks("training_inputs_count")
def no_training_inputs(model):
    del model.description.trainingInput[:]


@breaks("training_inputs_only_model")
def training_inputs_without_target(model):
    add_array(model.description.input, "probabilities_true", (1,), INT32)


@breaks("training_inputs_model")
def training_inputs_without_model_input(model):
    model.description.trainingInput[0].name = "something"


@breaks("training_inputs_target")
def target_of_another_name(model):
    model.description.trainingInput[1].name = "truth"


@breaks("training_inputs_target", classifier)
def classifier_target_of_another_name(model):
    model.description.trainingInput[1].name = "probabilities_true"


@breaks("label_type", classifier)
def integer_label_for_strings(model):
    model.description.trainingInput[1].type.int64Type.SetInParent()


@breaks("target_type")
def target_of_three(model):
    model.description.trainingInput[1].type.multiArrayType.shape[0] = 3


@breaks("target_type")
def target_of_floats(model):
    model.description.trainingInput[1].type.multiArrayType.dataType = FLOAT32


@breaks("layer_parameters")
def one_weight_too_many(model):
    layer(model, "dense_0").innerProduct.weights.floatValue.append(1)


@breaks("layer_parameters")
def another_width(model):
    layer(model, "dense_0").innerProduct.inputChannels = 8


@breaks("layer_parameters")
def one_bias_too_few(model):
    del layer(model, "dense_1").innerProduct.bias.floatValue[0]


@breaks("layer_parameters")
def no_channels(model):
    layer(model, "dense_0").innerProduct.outputChannels = 0


@breaks("layer_parameters", mse)
def groups_that_do_not_divide(model):
    layer(model, "conv").convolution.nGroups = 2


@breaks("layer_parameters", mse)
def stride_zero(model):
    layer(model, "conv").convolution.stride[0] = 0


@breaks("layer_parameters", mse)
def convolution_without_padding(model):
    layer(model, "conv").convolution.ClearField("valid")


@breaks("layer_parameters", mse)
def batchnorm_of_another_size(model):
    del layer(model, "norm").batchnorm.mean.floatValue[0]


@breaks("layer_parameters", mse)
def pooling_without_padding(model):
    layer(model, "pool").pooling.ClearField("valid")


@breaks("layer_parameters")
def activation_without_kind(model):
    add_layer(model.neuralNetwork, "extra", "features", "aside").activation.SetInParent()


@breaks("layer_parameters")
def layer_without_type(model):
    add_layer(model.neuralNetwork, "extra", "features", "aside")


@breaks("mixed_precision")
def half_weights_with_float_bias(model):
    extra = add_dense(model.neuralNetwork, "extra", "features", "aside", np.zeros((2, 6)), np.zeros(2))
    extra.innerProduct.weights.ClearField("floatValue")
    extra.innerProduct.weights.float16Value = bytes(2 * 12)


@breaks("weights_finite")
def not_a_number_in_the_bias(model):
    layer(model, "dense_1").innerProduct.bias.floatValue[1] = float("nan")


@breaks("weights_finite")
def infinite_weight(model):
    layer(model, "dense_0").innerProduct.weights.floatValue[7] = float("inf")


@breaks("array_mapping")
def exact_mapping(model):
    model.neuralNetwork.arrayInputShapeMapping = 1


@breaks("rank5_layer")
def gelu_beside_the_head(model):
    add_layer(model.neuralNetwork, "gelu", "features", "aside").gelu.SetInParent()


@breaks("input_rank")
def input_of_rank_two(model):
    del model.description.input[0].type.multiArrayType.shape[:]
    model.description.input[0].type.multiArrayType.shape.extend((1, 6))


@breaks("input_rank")
def input_without_shape(model):
    del model.description.input[0].type.multiArrayType.shape[:]


@breaks("blob_missing")
def a_layer_reads_nothing(model):
    add_layer(model.neuralNetwork, "extra", "nowhere", "aside").softmax.SetInParent()


@breaks("blob_twice")
def a_layer_overwrites(model):
    add_layer(model.neuralNetwork, "extra", "features", "features").activation.ReLU.SetInParent()


@breaks("output_missing")
def output_of_another_name(model):
    model.description.output[0].name = "chances"


@breaks("feature_names")
def two_outputs_of_one_name(model):
    model.description.output.add().CopyFrom(model.description.output[0])


@breaks("feature_names")
def no_outputs(model):
    del model.description.output[:]


@breaks("class_labels", classifier)
def a_label_too_many(model):
    model.neuralNetworkClassifier.stringClassLabels.vector.append("d")


@breaks("class_labels", classifier)
def a_label_twice(model):
    model.neuralNetworkClassifier.stringClassLabels.vector[2] = "a"


@breaks("pipeline_empty", pipeline)
def names_that_do_not_fit(model):
    model.pipeline.names.append("third")


@breaks("pipeline_empty", pipeline)
def no_stages(model):
    del model.pipeline.models[:]
    del model.pipeline.names[:]


@breaks("pipeline_depth", pipeline)
def a_pipeline_in_a_pipeline(model):
    inner = messages().Model()
    inner.specificationVersion = 4
    inner.description.input.extend(model.pipeline.models[0].description.input)
    inner.description.output.extend(model.pipeline.models[0].description.output)
    inner.pipeline.models.append(model.pipeline.models[0])
    model.pipeline.models[0].CopyFrom(inner)


@breaks("pipeline_input", pipeline)
def double_against_float(model):
    model.pipeline.models[0].description.output[0].type.multiArrayType.dataType = DOUBLE


@breaks("pipeline_input", pipeline)
def another_shape_between_stages(model):
    model.pipeline.models[0].description.output[0].type.multiArrayType.shape.insert(0, 1)


@breaks("pipeline_output", pipeline)
def pipeline_output_of_another_shape(model):
    model.description.output[0].type.multiArrayType.shape[0] = 4


@breaks("pipeline_updatable", pipeline)
def pipeline_not_marked(model):
    model.isUpdatable = False


@breaks("pipeline_version", pipeline)
def a_stage_is_newer(model):
    model.pipeline.models[1].specificationVersion = 7


@breaks("pipeline_training_inputs", pipeline)
def pipeline_without_target(model):
    del model.description.trainingInput[1]


@pytest.mark.parametrize(("rule", "make", "mutate"), run_cases())
def test_one_change_breaks_exactly_one_rule(rule, make, mutate):
    model = make()
    mutate(model)
    findings = validate_model(model)
    assert {finding.rule for finding in findings} == {rule}
    assert all(finding.message and finding.hint and "\n" not in finding.line() for finding in findings)


def test_findings_name_the_layer():
    model = head()
    bias_not_marked(model)
    (finding,) = validate_model(model)
    assert finding.layer == "dense_1"
    assert finding.line().startswith("unmarked_weights [dense_1]: ")
    wrapped = pipeline()
    wrapped.pipeline.models[1].neuralNetwork.layers[0].innerProduct.bias.isUpdatable = False
    assert validate_model(wrapped)[0].layer == "stage 1/dense_0"


def test_what_may_be_absent():
    model = head()
    update(model).ClearField("shuffle")
    update(model).ClearField("seed")
    sgd(model).ClearField("momentum")
    assert validate_model(model) == []
    for version in (4, 5, 7, 10):
        model.specificationVersion = version
        assert validate_model(model) == []


def test_a_layer_without_bias_is_valid():
    model = head()
    body = layer(model, "dense_0").innerProduct
    body.hasBias = False
    body.ClearField("bias")
    assert validate_model(model) == []


def test_an_image_like_array_is_valid():
    model = head()
    for features in (model.description.input, model.description.trainingInput):
        features[0].type.multiArrayType.shape.extend((1, 1))
    assert validate_model(model) == []


def test_a_frozen_model_is_valid_but_no_head():
    model = new_model({"x": (2,)}, {"y": (2,)})
    add_dense(model.neuralNetwork, "dense", "x", "y", np.ones((2, 2)))
    assert validate_model(model) == []
    assert [finding.rule for finding in validate_model(model, require_updatable=True)] == ["not_updatable"]


def test_unreadable_files_are_findings(tmp_path):
    path = tmp_path / "x.mlmodel"
    path.write_bytes(b"not a model at all")
    (finding,) = validate(path)
    assert finding.rule == "readable"
    path.write_bytes(initial_head(HeadLayout(6, 3), 1))
    assert validate(str(path)) == []


def test_findings_stay_short():
    model = head()
    for index in range(1000):
        fill(add_layer(model.neuralNetwork, "x" * 10_000, f"in{index}", f"out{index}").batchnorm.mean, [1.0])
    findings = validate_model(model)
    assert len(findings) <= 200
    assert all(len(finding.line()) < 1000 for finding in findings)
    assert isinstance(findings[0], Finding)
