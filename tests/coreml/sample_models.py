"""Whole updatable models for the tests of this folder: squared error, classifier, pipeline."""

from __future__ import annotations

import numpy as np

from headway.coreml import SGD, HeadLayout, Range, initial_head
from headway.coreml.proto import messages, parse_model

from .neural_specs import add_array, add_convolution, add_dense, add_layer, fill, new_model, set_padding


def squared_error_model():
    """Convolution, batchnorm, pooling and a dense layer, trained with squared error: x [2,5,5] → y [2]."""
    random = np.random.default_rng(5)
    model = new_model({"x": (2, 5, 5)}, {"y": (2,)})
    network = model.neuralNetwork
    kernel, bias = random.standard_normal((3, 2, 2, 2)), random.standard_normal(3)
    add_convolution(network, "conv", "x", "c", kernel, bias, updatable=True)
    norm = add_layer(network, "norm", "c", "n").batchnorm
    norm.channels, norm.epsilon = 3, 1e-3
    for name, values in (("gamma", (1, 2, 0.5)), ("beta", (0, 1, 0)), ("mean", (0, 0.5, 1)), ("variance", (1, 2, 3))):
        fill(getattr(norm, name), values)
    add_layer(network, "relu", "n", "r").activation.ReLU.SetInParent()
    pool = add_layer(network, "pool", "r", "p").pooling
    pool.kernelSize.extend((2, 2))
    pool.stride.extend((2, 2))
    set_padding(pool, ((0, 0), (0, 0)))
    add_layer(network, "flat", "p", "f").flatten.SetInParent()
    add_dense(network, "dense", "f", "h", random.standard_normal((2, 12)), random.standard_normal(2), updatable=True)
    add_layer(network, "tanh", "h", "y").activation.tanh.SetInParent()
    model.isUpdatable = True
    loss = network.updateParams.lossLayers.add()
    loss.name = "loss"
    loss.meanSquaredErrorLossLayer.input, loss.meanSquaredErrorLossLayer.target = "y", "wanted"
    SGD(Range(0.05)).write(network.updateParams.optimizer)
    network.updateParams.epochs.defaultValue = 5
    add_array(model.description.trainingInput, "x", (2, 5, 5))
    add_array(model.description.trainingInput, "wanted", (2,))
    return model


def to_classifier(plain, labels):
    """The head *plain* as a NeuralNetworkClassifier with *labels* (strings or integers)."""
    model = messages().Model()
    model.CopyFrom(plain)
    network = model.neuralNetworkClassifier
    network.layers.MergeFrom(plain.neuralNetwork.layers)
    network.updateParams.CopyFrom(plain.neuralNetwork.updateParams)
    network.labelProbabilityLayerName = "probabilities"
    text = isinstance(labels[0], str)
    (network.stringClassLabels if text else network.int64ClassLabels).vector.extend(labels)
    del model.description.output[:]
    label = model.description.output.add(name="label")
    (label.type.stringType if text else label.type.int64Type).SetInParent()
    chances = model.description.output.add(name="probabilities").type.dictionaryType
    (chances.stringKeyType if text else chances.int64KeyType).SetInParent()
    model.description.predictedFeatureName = "label"
    model.description.predictedProbabilitiesName = "probabilities"
    model.description.trainingInput[1].CopyFrom(label)
    return model


EMBED = np.random.default_rng(8).standard_normal((6, 5)).astype(np.float32)
"""Weights of the frozen first stage of :func:`pipeline`."""


def pipeline(head=None):
    """A pipeline: a frozen dense layer (x [5] → features [6]), then *head*."""
    head = head or parse_model(initial_head(HeadLayout(6, 3, hidden=(4,)), 1))
    first = new_model({"x": (5,)}, {"features": (6,)})
    add_dense(first.neuralNetwork, "embed", "x", "features", EMBED)
    model = messages().Model()
    model.specificationVersion = 4
    model.isUpdatable = True
    model.pipeline.models.extend([first, head])
    model.pipeline.names.extend(["base", "head"])
    add_array(model.description.input, "x", (5,))
    model.description.output.extend(head.description.output)
    add_array(model.description.trainingInput, "x", (5,))
    model.description.trainingInput.append(head.description.trainingInput[1])
    return model
