"""Events, metrics, parameters, cancelling, errors, classifiers, pipelines and saving."""

import numpy as np
import pytest

from headway.contract.errors import RefusedError
from headway.coreml import HeadLayout, MLModel, MLUpdateTask, initial_head, update_model
from headway.coreml.build import initial_weights
from headway.coreml.head import head_weights
from headway.coreml.hyperparameters import Adam
from headway.coreml.proto import encode, parse_model
from headway.coreml.update.context import MLUpdateProgressHandlers
from headway.coreml.update.errors import MLModelError, MLModelErrorCode
from headway.coreml.update.keys import (
    MLMetricKey,
    MLModelConfiguration,
    MLParameterKey,
    MLTaskState,
    MLUpdateProgressEvent,
)
from headway.coreml.update.semantics import Semantics

from .sample_models import EMBED, pipeline, to_classifier

EVERYTHING = MLUpdateProgressEvent.trainingBegin | MLUpdateProgressEvent.epochEnd | MLUpdateProgressEvent.miniBatchEnd
LAYOUT = HeadLayout(6, 3, hidden=(4,))


@pytest.fixture
def head(tmp_path):
    path = tmp_path / "head.mlmodel"
    path.write_bytes(initial_head(LAYOUT, 1))
    return path


@pytest.fixture
def data():
    random = np.random.default_rng(3)
    return {
        "features": random.standard_normal((25, 6)).astype(np.float32),
        "probabilities_true": random.integers(0, 3, (25, 1)).astype(np.int32),
    }


def configured(**values):
    return MLModelConfiguration({getattr(MLParameterKey, key): value for key, value in values.items()})


def test_events_and_metrics(head, data):
    seen = []

    def on_event(context):
        seen.append((context.event, {key.name: value for key, value in context.metrics.items()}))

    handlers = MLUpdateProgressHandlers(EVERYTHING, on_event, lambda context: seen.append((None, context.metrics)))
    task = MLUpdateTask(head, data, configured(epochs=2, miniBatchSize=10), handlers)
    assert task.state is MLTaskState.suspended
    task.resume()
    assert task.state is MLTaskState.completed
    names = [event.name if event else "completion" for event, _ in seen]
    epoch = ["miniBatchEnd"] * 3 + ["epochEnd"]
    assert names == ["trainingBegin", *epoch, *epoch, "completion"]
    assert [m["miniBatchIndex"] for e, m in seen if e is MLUpdateProgressEvent.miniBatchEnd] == [0, 1, 2] * 2
    assert [m["epochIndex"] for e, m in seen if e is MLUpdateProgressEvent.epochEnd] == [0, 1]
    # the loss of an epoch is that of its last mini-batch
    assert seen[4][1]["lossValue"] == seen[3][1]["lossValue"]
    assert seen[-1][1] == {MLMetricKey.lossValue: seen[-2][1]["lossValue"]}


def test_only_registered_events_are_reported(head, data):
    seen = []
    handlers = MLUpdateProgressHandlers(MLUpdateProgressEvent.epochEnd, lambda c: seen.append(c.event))
    MLUpdateTask(head, data, configured(epochs=3), handlers).resume()
    assert seen == [MLUpdateProgressEvent.epochEnd] * 3


def test_the_model_of_an_event_is_valid_only_in_its_handler(head, data):
    contexts = []

    def on_event(context):
        contexts.append((context, context.model.predict({"features": data["features"]})))

    handlers = MLUpdateProgressHandlers(MLUpdateProgressEvent.miniBatchEnd, on_event)
    MLUpdateTask(head, data, configured(epochs=1), handlers).resume()
    assert not np.array_equal(contexts[0][1]["probabilities"], contexts[1][1]["probabilities"])
    with pytest.raises(MLModelError):
        _ = contexts[0][0].model


def test_learning_rate_changes_in_flight_and_nothing_else(head, data):
    rates = []

    def on_event(context):
        rates.append(context.parameters[MLParameterKey.learningRate])
        context.task.resume({MLParameterKey.learningRate: 0.0})
        with pytest.raises(MLModelError) as caught:
            context.task.resume({MLParameterKey.epochs: 3})
        assert caught.value.apple_code is MLModelErrorCode.parameters

    handlers = MLUpdateProgressHandlers(MLUpdateProgressEvent.epochEnd, on_event)
    task = MLUpdateTask(head, data, configured(epochs=2), handlers)
    task.resume()
    assert rates == [0.05, 0.0]
    once = update_model(head, data, configured(epochs=1))
    np.testing.assert_array_equal(task.context.model.weights["dense_0.weights"], once.model.weights["dense_0.weights"])


@pytest.mark.parametrize(
    "overrides",
    [{"epochs": 101}, {"miniBatchSize": 3}, {"learningRate": 1.5}, {"learningRate": float("nan")}, {"momentum": -0.1},
     {"epochs": "2"}, {"shuffle": 1}, {"epochs": True}],
)  # fmt: skip
def test_overrides_outside_the_allowed_are_refused(head, data, overrides):
    with pytest.raises(MLModelError) as caught:
        MLUpdateTask(head, data, configured(**overrides))
    assert caught.value.apple_code is MLModelErrorCode.parameters
    assert caught.value.code == "mlmodel_parameters"


@pytest.mark.parametrize("key", [MLParameterKey.beta1, MLParameterKey.beta2])
def test_a_moment_that_never_decays_is_refused(tmp_path, data, key):
    path = tmp_path / "adam.mlmodel"
    path.write_bytes(initial_head(HeadLayout(6, 3, optimizer=Adam()), 1))
    with pytest.raises(MLModelError) as caught:
        MLUpdateTask(path, data, MLModelConfiguration({key: 1.0}))
    assert caught.value.apple_code == MLModelErrorCode.parameters


def test_unknown_keys_are_ignored(head, data):
    plain = update_model(head, data)
    odd = update_model(head, data, configured(beta1=7.0, numberOfNeighbors=3))
    assert plain.model.spec_bytes == odd.model.spec_bytes


def test_a_parameter_without_allowed_values_is_not_limited(head, data):
    model = parse_model(head.read_bytes())
    model.neuralNetwork.updateParams.epochs.ClearField("set")
    head.write_bytes(encode(model))
    assert update_model(head, data, configured(epochs=123)).parameters[MLParameterKey.epochs] == 123


@pytest.mark.parametrize("completes", [False, True])
def test_cancel(head, data, completes):
    seen = []

    def on_event(context):
        seen.append("batch")
        context.task.cancel()

    handlers = MLUpdateProgressHandlers(
        MLUpdateProgressEvent.miniBatchEnd, on_event, lambda context: seen.append("completion")
    )
    task = MLUpdateTask(head, data, None, handlers, semantics=Semantics(completion_after_cancel=completes))
    task.resume()
    assert task.state is MLTaskState.failed
    assert seen == (["batch", "completion"] if completes else ["batch"])


def test_failure_is_a_state_not_an_exception(head, data):
    weights = head_weights(head.read_bytes())
    weights["dense_1.weights"] = np.full_like(weights["dense_1.weights"], 3e38)
    contexts = []
    handlers = MLUpdateProgressHandlers(EVERYTHING, None, contexts.append)
    with np.errstate(all="ignore"):
        task = MLUpdateTask(MLModel(head).with_weights(weights), data, None, handlers)
        task.resume()
    assert task.state is MLTaskState.failed
    assert task.error.apple_code is MLModelErrorCode.update
    with pytest.raises(MLModelError):
        _ = contexts[0].model


BAD_DATA = {
    "missing": lambda d: {"features": d["features"]},
    "lengths": lambda d: {**d, "features": d["features"][:3]},
    "empty": lambda d: {key: value[:0] for key, value in d.items()},
    "width": lambda d: {**d, "features": d["features"][:, :5]},
    "nan": lambda d: {**d, "features": np.full_like(d["features"], np.nan)},
    "class": lambda d: {**d, "probabilities_true": d["probabilities_true"] + 3},
    "negative": lambda d: {**d, "probabilities_true": d["probabilities_true"] - 5},
    "fraction": lambda d: {**d, "probabilities_true": d["probabilities_true"] + 0.5},
    "two": lambda d: {**d, "probabilities_true": np.zeros((25, 2), dtype=np.int32)},
    "text": lambda d: {**d, "features": d["features"].astype(str)},
}


@pytest.mark.parametrize("case", BAD_DATA)
def test_data_that_does_not_fit_is_refused(head, data, case):
    with pytest.raises(MLModelError) as caught:
        MLUpdateTask(head, BAD_DATA[case](data))
    assert caught.value.apple_code is MLModelErrorCode.featureType


def test_a_model_that_is_not_updatable_is_refused(head, data):
    model = parse_model(head.read_bytes())
    model.isUpdatable = False
    head.write_bytes(encode(model))
    with pytest.raises(MLModelError) as caught:
        MLUpdateTask(head, data)
    assert caught.value.apple_code is MLModelErrorCode.update


def test_parameter_values(head):
    model = MLModel(head)
    kernel = model.parameter_value(MLParameterKey.weights.scoped(to="dense_0"))
    assert kernel.shape == (4, 6)
    kernel[:] = 0  # a copy
    assert model.parameter_value(MLParameterKey.weights.scoped(to="dense_0")).any()
    assert model.parameter_value(MLParameterKey.biases.scoped(to="dense_1")).shape == (3,)
    assert model.parameter_value(MLParameterKey.learningRate) == 0.05
    for key in (MLParameterKey.weights, MLParameterKey.biases.scoped(to="softmax"), MLParameterKey.beta1):
        with pytest.raises(MLModelError) as caught:
            model.parameter_value(key)
        assert caught.value.apple_code is MLModelErrorCode.parameters


def test_training_twice_continues_from_the_first(head, data, tmp_path):
    first = update_model(head, data, configured(epochs=2)).model
    first.write(tmp_path / "first.mlmodel")
    again = update_model(tmp_path / "first.mlmodel", data, configured(epochs=3)).model
    whole = update_model(head, data, configured(epochs=5)).model
    for key in whole.trainable_keys:  # between the two the weights were rounded to float32
        np.testing.assert_allclose(again.weights[key], whole.weights[key], rtol=1e-6, atol=1e-7)


def test_writing_into_a_missing_folder_is_an_io_error(head, data, tmp_path):
    with pytest.raises(MLModelError) as caught:
        MLModel(head).write(tmp_path / "nowhere" / "x.mlmodel")
    assert caught.value.apple_code is MLModelErrorCode.io


@pytest.mark.parametrize("labels", [["film", "音乐", "travel"], [7, -1, 30]])
def test_classifiers_take_and_give_labels(head, data, tmp_path, labels):
    path = tmp_path / "classifier.mlmodel"
    path.write_bytes(encode(to_classifier(parse_model(head.read_bytes()), labels)))
    named = {"features": data["features"], "label": np.array([labels[i] for i in data["probabilities_true"][:, 0]])}
    trained = update_model(path, named).model
    plain = update_model(head, data).model
    for key, values in plain.weights.items():
        np.testing.assert_array_equal(trained.weights[key], values)
    out = trained.predict({"features": data["features"]})
    expected = plain.predict({"features": data["features"]})["probabilities"]
    np.testing.assert_array_equal(out["probabilities"], expected)
    assert out["label"].tolist() == [labels[i] for i in expected.argmax(axis=1)]
    assert trained.description.class_labels == tuple(labels)
    one = trained.predict({"features": data["features"][0]})
    assert one["label"] == labels[expected[0].argmax()]
    with pytest.raises(MLModelError):
        MLUpdateTask(path, {**named, "label": np.array(["no such label"] * 25)})


def test_pipelines_train_their_last_model(head, data, tmp_path):
    path = tmp_path / "pipeline.mlmodel"
    path.write_bytes(encode(pipeline(parse_model(head.read_bytes()))))
    x = np.random.default_rng(9).standard_normal((25, 5)).astype(np.float32)
    targets = data["probabilities_true"]
    trained = update_model(path, {"x": x, "probabilities_true": targets}).model
    plain = update_model(head, {"features": x @ EMBED.T, "probabilities_true": targets}).model
    scoped = MLParameterKey.weights.scoped(to="dense_0")
    np.testing.assert_allclose(trained.parameter_value(scoped), plain.parameter_value(scoped), rtol=1e-6)
    np.testing.assert_array_equal(trained.parameter_value(scoped.scoped(to="head")), trained.parameter_value(scoped))
    trained.write(tmp_path / "out.mlmodel")
    again = MLModel(tmp_path / "out.mlmodel").predict({"x": x})["probabilities"]
    np.testing.assert_allclose(again, plain.predict({"features": x @ EMBED.T})["probabilities"], rtol=1e-5)


def test_prediction_inputs_are_checked(head):
    model = MLModel(head)
    out = model.predict({"features": np.zeros(6, dtype=np.float64)})
    assert out["probabilities"].shape == (3,)
    assert out["probabilities"].dtype == np.float32
    for bad in ({}, {"features": np.zeros(7)}, {"features": np.zeros((2, 7))}, {"features": np.array(["x"] * 6)}):
        with pytest.raises(RefusedError) as caught:
            model.predict(bad)
        assert caught.value.code == "input"


def test_initial_weights_are_what_the_file_holds(head):
    for key, values in initial_weights(LAYOUT, 1).items():
        np.testing.assert_array_equal(MLModel(head).weights[key], values)
