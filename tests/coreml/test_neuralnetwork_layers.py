"""Each layer, forward and backward, against PyTorch."""

import numpy as np
import pytest

from headway.contract.errors import IncompatibleError, RefusedError
from headway.coreml.neuralnetwork.network import compile_network

from .neural_specs import add_convolution, add_dense, add_layer, fill, new_model, set_padding

torch = pytest.importorskip("torch")


def check(build, torch_function, shape, parameters, seed=0):
    """Compare output and all gradients (of input and parameters) of one layer with autograd's."""
    random = np.random.default_rng(seed)
    values = {key: random.standard_normal(size).astype(np.float32) for key, size in parameters.items()}
    x = random.standard_normal(shape).astype(np.float32)
    model = new_model({"x": shape[1:]}, {"y": ()})
    build(model.neuralNetwork, values)
    chain = compile_network(model.neuralNetwork, ("x",)).chain_to("y")
    weights = compile_network(model.neuralNetwork, ("x",)).weights
    out, saved = chain.forward(x, weights)
    tensors = {key: torch.tensor(value, requires_grad=True) for key, value in values.items()}
    source = torch.tensor(x, requires_grad=True)
    expected = torch_function(source, tensors)
    np.testing.assert_allclose(out.reshape(expected.shape), expected.detach().numpy(), rtol=1e-5, atol=1e-5)
    upstream = random.standard_normal(out.shape).astype(np.float32)
    (expected * torch.tensor(upstream).reshape(expected.shape)).sum().backward()
    gradient, own = chain.nodes[0].layer.backward(upstream, saved[0], weights)
    assert_close(gradient.reshape(shape), source.grad.numpy())
    for key, tensor in tensors.items():
        assert_close(own[f"layer.{key}"], tensor.grad.numpy())


def assert_close(found, expected):
    """Largest difference at most 1e-6 of the largest value."""
    assert found.dtype == np.float32
    assert np.abs(found - expected).max() <= 1e-6 * np.abs(expected).max()


@pytest.mark.parametrize("bias", [True, False])
def test_inner_product(bias):
    names = {"weights": (3, 5)} | ({"biases": (3,)} if bias else {})

    def build(network, values):
        add_dense(network, "layer", "x", "y", values["weights"], values.get("biases"))

    check(build, lambda x, p: torch.nn.functional.linear(x, p["weights"], p.get("biases")), (7, 5), names)


CONVOLUTIONS = [
    {},
    {"padding": ((1, 1), (2, 2)), "stride": (2, 1)},
    {"dilation": (2, 1), "padding": ((2, 2), (0, 0))},
    {"groups": 2},
]


@pytest.mark.parametrize("options", CONVOLUTIONS)
def test_convolution(options):
    groups = options.get("groups", 1)

    def build(network, values):
        add_convolution(network, "layer", "x", "y", values["weights"], values["biases"], **options)

    def expected(x, p):
        (top, _), (left, _) = options.get("padding", ((0, 0), (0, 0)))
        return torch.nn.functional.conv2d(
            x, p["weights"], p["biases"], options.get("stride", 1), (top, left), options.get("dilation", 1), groups
        )

    check(build, expected, (2, 4, 7, 6), {"weights": (6, 4 // groups, 3, 2), "biases": (6,)})


def test_convolution_same_padding():
    def build(network, values):
        add_convolution(network, "layer", "x", "y", values["weights"], None, padding="same", stride=(2, 2))

    def expected(x, p):  # 7 -> 4 needs (3, 3) rows: 2 more; 6 -> 3 needs 1 more, which goes after
        return torch.nn.functional.conv2d(torch.nn.functional.pad(x, (0, 1, 1, 1)), p["weights"], None, 2)

    check(build, expected, (2, 3, 7, 6), {"weights": (4, 3, 3, 3)})


@pytest.mark.parametrize("kind", ["ReLU", "sigmoid", "tanh"])
@pytest.mark.parametrize("shape", [(4, 6), (2, 3, 4, 5)])
def test_activation(kind, shape):
    def build(network, values):
        getattr(add_layer(network, "layer", "x", "y").activation, kind).SetInParent()

    check(build, lambda x, p: getattr(torch, kind.lower())(x), shape, {})


def test_sigmoid_does_not_overflow():
    model = new_model({"x": (3,)}, {"y": (3,)})
    add_layer(model.neuralNetwork, "layer", "x", "y").activation.sigmoid.SetInParent()
    x = np.array([[-1000, 0, 1000]], dtype=np.float32)
    with np.errstate(over="raise"):
        out = compile_network(model.neuralNetwork, ("x",)).run({"x": x})["y"]
    np.testing.assert_array_equal(out, [[0, 0.5, 1]])


@pytest.mark.parametrize("shape", [(4, 6), (2, 3, 4, 5)])
def test_softmax(shape):
    def build(network, values):
        add_layer(network, "layer", "x", "y").softmax.SetInParent()

    check(build, lambda x, p: torch.softmax(x, dim=1), shape, {})


@pytest.mark.parametrize("mode", [0, 1])
def test_flatten(mode):
    def build(network, values):
        layer = add_layer(network, "layer", "x", "y")
        layer.flatten.SetInParent()
        layer.flatten.mode = mode

    def expected(x, p):
        return (x if mode == 0 else x.permute(0, 2, 3, 1)).reshape(len(x), -1)

    check(build, expected, (2, 3, 4, 5), {})


POOLS = [("max", {}), ("max", {"padding": 1}), ("average", {}), ("average", {"padding": 1, "exclude": True})]


@pytest.mark.parametrize(("kind", "options"), POOLS)
def test_pooling(kind, options):
    pad = options.get("padding", 0)

    def build(network, values):
        body = add_layer(network, "layer", "x", "y").pooling
        body.type = 0 if kind == "max" else 1
        body.kernelSize.extend((3, 2))
        body.stride.extend((2, 1))
        body.avgPoolExcludePadding = options.get("exclude", False)
        set_padding(body, ((pad, pad), (pad, pad)))

    def expected(x, p):
        if kind == "max":
            return torch.nn.functional.max_pool2d(x, (3, 2), (2, 1), pad)
        include = not options.get("exclude", False)
        return torch.nn.functional.avg_pool2d(x, (3, 2), (2, 1), pad, count_include_pad=include)

    check(build, expected, (2, 3, 7, 6), {})


def test_global_pooling():
    def build(network, values):
        body = add_layer(network, "layer", "x", "y").pooling
        body.type = 1
        body.globalPooling = True

    check(build, lambda x, p: x.mean(dim=(2, 3), keepdim=True), (2, 3, 7, 6), {})


@pytest.mark.parametrize("shape", [(4, 3), (2, 3, 4, 5)])
def test_batchnorm(shape):
    stats = [np.array(v, dtype=np.float32) for v in ([1, 2, 0.5], [0, -1, 3], [0.5, 1, -2], [1, 0.25, 4])]

    def build(network, values):
        body = add_layer(network, "layer", "x", "y").batchnorm
        body.channels, body.epsilon = 3, 1e-3
        for name, vector in zip(("gamma", "beta", "mean", "variance"), stats, strict=True):
            fill(getattr(body, name), vector)

    gamma, beta, mean, variance = map(torch.tensor, stats)
    check(build, lambda x, p: torch.nn.functional.batch_norm(x, mean, variance, gamma, beta, eps=1e-3), shape, {})


def test_unknown_layers_are_named():
    model = new_model({"x": (3,)}, {"y": (3,)})
    add_layer(model.neuralNetwork, "strange", "x", "y").lrn.SetInParent()
    with pytest.raises(IncompatibleError) as caught:
        compile_network(model.neuralNetwork, ("x",))
    assert caught.value.data["layer"] == "strange"
    assert "lrn" in caught.value.message


def test_layers_that_do_not_fit_are_refused():
    model = new_model({"x": (3,)}, {"y": (2,)})
    add_dense(model.neuralNetwork, "dense", "x", "y", np.ones((2, 4), dtype=np.float32))
    with pytest.raises(RefusedError) as caught:
        compile_network(model.neuralNetwork, ("x",)).run({"x": np.ones((1, 3), dtype=np.float32)})
    assert caught.value.code == "blob_shape"
