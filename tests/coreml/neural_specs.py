"""Specifications of small networks, written message by message, for the tests of this folder."""

from __future__ import annotations

import numpy as np

from headway.coreml.proto import messages

INT32, FLOAT32, DOUBLE = 131104, 65568, 65600


def add_array(features, name, shape, data_type=FLOAT32):
    feature = features.add()
    feature.name = name
    feature.type.multiArrayType.shape.extend(shape)
    feature.type.multiArrayType.dataType = data_type


def add_layer(network, name, source, target):
    layer = network.layers.add()
    layer.name = name
    layer.input.append(source)
    layer.output.append(target)
    return layer


def fill(params, values, updatable=False):
    params.floatValue.extend(np.asarray(values, dtype=np.float32).ravel().tolist())
    params.isUpdatable = updatable


def add_dense(network, name, source, target, weights, biases=None, updatable=False):
    layer = add_layer(network, name, source, target)
    layer.isUpdatable = updatable
    layer.innerProduct.outputChannels, layer.innerProduct.inputChannels = weights.shape
    fill(layer.innerProduct.weights, weights, updatable)
    if biases is not None:
        layer.innerProduct.hasBias = True
        fill(layer.innerProduct.bias, biases, updatable)
    return layer


def add_convolution(network, name, source, target, weights, biases=None, updatable=False, groups=1, **options):
    layer = add_layer(network, name, source, target)
    layer.isUpdatable = updatable
    body = layer.convolution
    body.outputChannels, body.kernelChannels = weights.shape[:2]
    body.nGroups = groups
    body.kernelSize.extend(weights.shape[2:])
    body.stride.extend(options.get("stride", (1, 1)))
    body.dilationFactor.extend(options.get("dilation", (1, 1)))
    set_padding(body, options.get("padding", ((0, 0), (0, 0))))
    fill(body.weights, weights, updatable)
    if biases is not None:
        body.hasBias = True
        fill(body.bias, biases, updatable)
    return layer


def set_padding(body, padding):
    if padding == "same":
        body.same.SetInParent()
        return
    for before, after in padding:
        amount = body.valid.paddingAmounts.borderAmounts.add()
        amount.startEdgeSize, amount.endEdgeSize = before, after


def new_model(inputs, outputs, version=4):
    """A neuralNetwork model with the named array inputs and outputs ({name: shape})."""
    model = messages().Model()
    model.specificationVersion = version
    model.neuralNetwork.SetInParent()
    for name, shape in inputs.items():
        add_array(model.description.input, name, shape)
    for name, shape in outputs.items():
        add_array(model.description.output, name, shape)
    return model
