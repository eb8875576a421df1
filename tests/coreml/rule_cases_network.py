"""Changes to model type, layers, loss, graph, labels and pipelines that break one rule each."""

from __future__ import annotations

import numpy as np

from headway.coreml.proto import messages

from .neural_specs import DOUBLE, add_dense, add_layer
from .rule_cases import breaks, classifier, layer, mse, update
from .sample_models import pipeline


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
