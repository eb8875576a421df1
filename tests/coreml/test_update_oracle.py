"""Gradients and whole trainings against PyTorch."""

import itertools

import numpy as np
import pytest

from headway.coreml import SGD, Adam, HeadLayout, Range, initial_head
from headway.coreml.head import head_weights
from headway.coreml.model import MLModel
from headway.coreml.proto import encode
from headway.coreml.update.keys import MLModelConfiguration, MLParameterKey
from headway.coreml.update.samples import samples_of
from headway.coreml.update.semantics import Semantics
from headway.coreml.update.task import update_model
from headway.coreml.update.trainer import Trainer

from .neural_specs import FLOAT32, add_array, add_convolution, add_dense, add_layer, new_model

torch = pytest.importorskip("torch")

ACTIVATIONS = {"ReLU": torch.relu, "Sigmoid": torch.sigmoid, "Tanh": torch.tanh}


def make_model(tmp_path, layout, seed=1):
    path = tmp_path / "head.mlmodel"
    path.write_bytes(initial_head(layout, seed))
    return MLModel(path)


def make_data(layout, count, seed=2):
    random = np.random.default_rng(seed)
    return {
        "features": random.standard_normal((count, layout.features)).astype(np.float32),
        "probabilities_true": random.integers(0, layout.classes, (count, 1)).astype(np.int32),
    }


def torch_logits(layout, tensors, x):
    last = len(layout.hidden)
    for index in range(last + 1):
        x = torch.nn.functional.linear(x, tensors[f"dense_{index}.weights"], tensors[f"dense_{index}.biases"])
        if index < last:
            x = ACTIVATIONS[layout.activation](x)
    return x


def relative(found, expected):
    return np.abs(found - expected).max() / max(np.abs(expected).max(), 1e-30)


@pytest.mark.parametrize("reduction", ["mean", "sum"])
@pytest.mark.parametrize(("hidden", "activation"), [((), "ReLU"), ((16,), "ReLU"), ((9, 7), "Tanh"), ((8,), "Sigmoid")])
def test_gradients(tmp_path, hidden, activation, reduction):
    layout = HeadLayout(12, 5, hidden=hidden, activation=activation)
    model, data = make_model(tmp_path, layout), make_data(layout, 32)
    plan, semantics = model.training_plan(), Semantics(loss_reduction=reduction)
    samples = samples_of(model, data, plan.loss)
    trainer = Trainer(model.head().network, plan, samples.inputs, samples.target, semantics)
    loss, gradients = trainer.gradients(np.arange(32))
    tensors = {k: torch.tensor(v, dtype=torch.float64, requires_grad=True) for k, v in model.weights.items()}
    logits = torch_logits(layout, tensors, torch.tensor(data["features"], dtype=torch.float64))
    target = torch.tensor(samples.target)
    expected = torch.nn.functional.cross_entropy(logits, target, reduction=reduction)
    expected.backward()
    assert loss == pytest.approx(expected.item(), rel=1e-12)
    assert gradients.keys() == tensors.keys()
    for key, gradient in gradients.items():
        assert gradient.dtype == np.float64
        assert relative(gradient, tensors[key].grad.numpy()) < 1e-12


def train_torch(layout, weights, data, make_optimizer, *, epochs, batch, reduction="mean"):
    tensors = {k: torch.tensor(v, dtype=torch.float64, requires_grad=True) for k, v in weights.items()}
    optimizer = make_optimizer(tensors.values())
    x, y = torch.tensor(data["features"]).double(), torch.tensor(data["probabilities_true"][:, 0]).long()
    losses = []
    for _, start in itertools.product(range(epochs), range(0, len(x), batch)):
        optimizer.zero_grad()
        logits = torch_logits(layout, tensors, x[start : start + batch])
        loss = torch.nn.functional.cross_entropy(logits, y[start : start + batch], reduction=reduction)
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    return {key: tensor.detach().numpy() for key, tensor in tensors.items()}, losses


OPTIMIZERS = {
    "sgd": (SGD(Range(0.1)), Semantics(), lambda p: torch.optim.SGD(p, lr=0.1)),
    "sum": (SGD(Range(0.02)), Semantics(loss_reduction="sum"), lambda p: torch.optim.SGD(p, lr=0.02)),
    "momentum": (
        SGD(Range(0.05), momentum=Range(0.9)),
        Semantics(),
        lambda p: torch.optim.SGD(p, lr=0.05, momentum=0.9),
    ),
    "velocity": (
        SGD(Range(0.05), momentum=Range(0.9)),
        Semantics(momentum_form="velocity"),
        lambda p: torch.optim.SGD(p, lr=0.05, momentum=0.9),
    ),
    "nesterov": (
        SGD(Range(0.05), momentum=Range(0.9)),
        Semantics(momentum_form="nesterov"),
        lambda p: torch.optim.SGD(p, lr=0.05, momentum=0.9, nesterov=True),
    ),
    "adam": (Adam(Range(0.01)), Semantics(adam_epsilon="outside"), lambda p: torch.optim.Adam(p, lr=0.01)),
}


@pytest.mark.parametrize("name", OPTIMIZERS)
@pytest.mark.parametrize("hidden", [(), (16,)])
def test_whole_training(tmp_path, name, hidden):
    optimizer, semantics, oracle = OPTIMIZERS[name]
    layout = HeadLayout(24, 4, hidden=hidden, optimizer=optimizer)
    model, data = make_model(tmp_path, layout), make_data(layout, 53)
    configuration = MLModelConfiguration({MLParameterKey.epochs: 7, MLParameterKey.miniBatchSize: 10})
    context = update_model(model.configured(configuration), data, semantics=semantics)
    reduction = semantics.loss_reduction
    expected, losses = train_torch(layout, model.weights, data, oracle, epochs=7, batch=10, reduction=reduction)
    out = tmp_path / "new.mlmodel"
    context.model.write(out)
    trained = head_weights(out.read_bytes())
    for key, values in expected.items():
        assert relative(trained[key], values) < 1e-5, key
    assert next(iter(context.metrics.values())) == pytest.approx(losses[-1], rel=1e-5)


def test_adam_epsilon_hat_against_its_definition(tmp_path):
    """After one step, eps added before the bias correction acts like eps / sqrt(1 - beta2) added after it."""
    layout = HeadLayout(6, 3, optimizer=Adam(Range(0.1), eps=Range(1e-3)))
    model, data = make_model(tmp_path, layout), make_data(layout, 10)
    configuration = MLModelConfiguration({MLParameterKey.epochs: 1})
    context = update_model(model.configured(configuration), data)
    expected, _ = train_torch(
        layout,
        model.weights,
        data,
        lambda p: torch.optim.Adam(p, lr=0.1, eps=1e-3 / np.sqrt(1 - 0.999)),
        epochs=1,
        batch=10,
    )
    for key, values in expected.items():
        assert relative(context.model.weights[key], values) < 1e-5


def test_dampened_momentum_against_its_definition(tmp_path):
    layout = HeadLayout(6, 3, optimizer=SGD(Range(0.1), momentum=Range(0.5)))
    model, data = make_model(tmp_path, layout), make_data(layout, 10)
    context = update_model(model, data, semantics=Semantics(momentum_form="dampened"))
    # v <- m v + (1 - m) g is heavy ball with the rate scaled by (1 - m)
    expected, _ = train_torch(
        layout, model.weights, data, lambda p: torch.optim.SGD(p, lr=0.05, momentum=0.5), epochs=10, batch=10
    )
    for key, values in expected.items():
        assert relative(context.model.weights[key], values) < 1e-5


def squared_error_model():
    """A convolution and a dense layer trained with squared error; the first dense layer stays frozen."""
    random = np.random.default_rng(5)
    values = {
        "conv": [random.standard_normal(s).astype(np.float32) for s in ((3, 2, 2, 2), (3,))],
        "dense": [random.standard_normal(s).astype(np.float32) for s in ((2, 27), (2,))],
    }
    model = new_model({"x": (2, 4, 4)}, {"y": (2,)})
    network = model.neuralNetwork
    add_convolution(network, "conv", "x", "c", *values["conv"], updatable=True)
    add_layer(network, "relu", "c", "r").activation.ReLU.SetInParent()
    add_layer(network, "flat", "r", "f").flatten.SetInParent()
    add_dense(network, "dense", "f", "z", *values["dense"], updatable=True)
    add_layer(network, "tanh", "z", "y").activation.tanh.SetInParent()
    model.isUpdatable = True
    loss = network.updateParams.lossLayers.add()
    loss.name = "loss"
    loss.meanSquaredErrorLossLayer.input, loss.meanSquaredErrorLossLayer.target = "y", "wanted"
    SGD(Range(0.05)).write(network.updateParams.optimizer)
    network.updateParams.epochs.defaultValue = 5
    add_array(model.description.trainingInput, "x", (2, 4, 4), FLOAT32)
    add_array(model.description.trainingInput, "wanted", (2,), FLOAT32)
    return model, values


def test_squared_error_through_a_convolution(tmp_path):
    model, values = squared_error_model()
    path = tmp_path / "m.mlmodel"
    path.write_bytes(encode(model))
    random = np.random.default_rng(6)
    data = {
        "x": random.standard_normal((10, 2, 4, 4)).astype(np.float32),
        "wanted": random.standard_normal((10, 2)).astype(np.float32),
    }
    context = update_model(path, data)
    tensors = {k: [torch.tensor(v, requires_grad=True) for v in pair] for k, pair in values.items()}
    optimizer = torch.optim.SGD([t for pair in tensors.values() for t in pair], lr=0.05)
    for _ in range(5):
        optimizer.zero_grad()
        hidden = torch.relu(torch.nn.functional.conv2d(torch.tensor(data["x"]), *tensors["conv"])).flatten(1)
        out = torch.tanh(torch.nn.functional.linear(hidden, *tensors["dense"]))
        loss = torch.nn.functional.mse_loss(out, torch.tensor(data["wanted"]))
        loss.backward()
        optimizer.step()
    for name, pair in tensors.items():
        for key, tensor in zip(("weights", "biases"), pair, strict=True):
            assert relative(context.model.weights[f"{name}.{key}"], tensor.detach().numpy()) < 1e-5


def test_frozen_layers_do_not_move(tmp_path):
    layout = HeadLayout(6, 3, hidden=(5,))
    path = tmp_path / "h.mlmodel"
    path.write_bytes(initial_head(layout, 1))
    model = MLModel(path).package.spec
    first = model.neuralNetwork.layers[0]
    first.isUpdatable = first.innerProduct.weights.isUpdatable = first.innerProduct.bias.isUpdatable = False
    path.write_bytes(encode(model))
    before = MLModel(path)
    after = update_model(before, make_data(layout, 20)).model
    assert after.trainable_keys == ("dense_1.weights", "dense_1.biases")
    np.testing.assert_array_equal(after.weights["dense_0.weights"], before.weights["dense_0.weights"])
    assert not np.array_equal(after.weights["dense_1.weights"], before.weights["dense_1.weights"])
