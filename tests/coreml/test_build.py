"""Heads built here: deterministic, readable back, and the same as coremltools' own builder writes."""

import contextlib
import io
import warnings

import numpy as np
import pytest

from headway.contract.errors import RefusedError
from headway.coreml import SGD, Adam, AllowedSet, HeadLayout, Range, build_head, initial_head, initial_weights
from headway.coreml.head import head_weights, with_head_weights
from headway.coreml.proto import encode, parse_model

LAYOUTS = [
    HeadLayout(4, 3),
    HeadLayout(8, 2, hidden=(5,), activation="Tanh", optimizer=Adam()),
    HeadLayout(6, 4, hidden=(7, 3), activation="Sigmoid", seed=-3, shuffle=True),
]


@pytest.mark.parametrize("layout", LAYOUTS)
def test_equal_inputs_give_equal_bytes(layout):
    assert initial_head(layout, 7) == initial_head(layout, 7)
    assert initial_head(layout, 7) != initial_head(layout, 8)


@pytest.mark.parametrize("layout", LAYOUTS)
def test_weights_come_back_as_they_went_in(layout):
    weights = initial_weights(layout, 3)
    spec = build_head(layout, weights)
    found = head_weights(spec)
    assert list(found) == list(weights)
    for key in weights:
        np.testing.assert_array_equal(found[key], weights[key])
        assert found[key].dtype == np.float32


def test_replacing_weights_changes_nothing_else():
    layout = HeadLayout(4, 3, hidden=(5,))
    first, second = initial_head(layout, 1), initial_head(layout, 2)
    assert with_head_weights(first, head_weights(second)) == second
    assert with_head_weights(first, head_weights(first)) == first


def test_unknown_fields_survive():
    spec = initial_head(LAYOUTS[0], 1) + b"\xfa\x3f\x03abc"  # field 1023, length-delimited
    assert b"\xfa\x3f\x03abc" in with_head_weights(spec, head_weights(spec))


def _broken(weights):
    wrong_shape = dict(weights)
    wrong_shape["dense_0.weights"] = weights["dense_0.weights"].T
    missing = {key: value for key, value in weights.items() if key != "dense_0.biases"}
    not_finite = dict(weights)
    not_finite["dense_0.biases"] = np.full(3, np.nan, dtype=np.float32)
    return [wrong_shape, missing, weights | {"more": np.zeros(1, dtype=np.float32)}, not_finite]


@pytest.mark.parametrize("case", range(4))
def test_weights_that_do_not_fit_are_refused(case):
    weights = initial_weights(LAYOUTS[0], 1)
    with pytest.raises(RefusedError) as caught:
        build_head(LAYOUTS[0], _broken(weights)[case])
    assert caught.value.code == "weights"


@pytest.mark.parametrize("layout", [HeadLayout(0, 3), HeadLayout(4, 1), HeadLayout(4, 3, hidden=(0,))])
def test_senseless_layouts_are_refused(layout):
    with pytest.raises(RefusedError):
        build_head(layout, {})


def test_a_model_that_is_no_head_is_refused():
    model = parse_model(initial_head(LAYOUTS[0], 1))
    model.isUpdatable = False
    with pytest.raises(RefusedError) as caught:
        head_weights(encode(model))
    assert caught.value.code == "not_a_head"


@pytest.fixture(scope="module")
def coremltools_builder():
    with warnings.catch_warnings(), contextlib.redirect_stderr(io.StringIO()):
        warnings.simplefilter("ignore")
        pytest.importorskip("coremltools")
        from coremltools.models import datatypes, neural_network
    return datatypes, neural_network


@pytest.mark.parametrize("adam", [False, True])
def test_same_as_coremltools_builder(coremltools_builder, adam):
    datatypes, neural_network = coremltools_builder
    one = AllowedSet(10, (5, 10))
    optimizer = Adam(Range(0.01), one) if adam else SGD(Range(0.01), one)
    layout = HeadLayout(4, 3, hidden=(5,), optimizer=optimizer, epochs=AllowedSet(2, (1, 2)))
    weights = initial_weights(layout, 11)
    builder = neural_network.NeuralNetworkBuilder(
        [("features", datatypes.Array(4))], [("probabilities", datatypes.Array(3))], use_float_arraytype=True
    )

    def dense(index, blob):
        weight, bias = weights[f"dense_{index}.weights"], weights[f"dense_{index}.biases"]
        name = f"dense_{index}"
        builder.add_inner_product(name, weight, bias, *weight.shape[::-1], True, blob, f"{name}_output")

    dense(0, "features")
    builder.add_activation("activation_0", "RELU", "dense_0_output", "activation_0_output")
    dense(1, "activation_0_output")
    builder.add_softmax("softmax", "dense_1_output", "probabilities")
    builder.make_updatable(["dense_0", "dense_1"])
    with contextlib.redirect_stdout(io.StringIO()):
        builder.set_categorical_cross_entropy_loss("loss", "probabilities")
    if adam:
        params = neural_network.AdamParams(lr=0.01)
        params.set_batch(10, [5, 10])
        builder.set_adam_optimizer(params)
    else:
        params = neural_network.SgdParams(lr=0.01)
        params.set_batch(10, [5, 10])
        builder.set_sgd_optimizer(params)
    builder.set_epochs(2, [1, 2])
    builder.spec.neuralNetwork.updateParams.shuffle.defaultValue = False
    assert parse_model(build_head(layout, weights)) == builder.spec
