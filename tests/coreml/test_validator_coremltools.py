"""Models that coremltools itself builds: valid, runnable, trainable; and what its builders get wrong."""

import contextlib
import io

import numpy as np
import pytest

from headway.coreml import MLModel, update_model
from headway.coreml.proto import encode
from headway.coreml.validator import validate, validate_model

from .mil_programs import coremltools

ct = coremltools()
datatypes, nn = ct.models.datatypes, ct.models.neural_network
RANDOM = np.random.default_rng(0)


def quietly(function, *arguments, **options):
    with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
        return function(*arguments, **options)


def builder(inputs, outputs, **options):
    return nn.NeuralNetworkBuilder(
        [(name, datatypes.Array(*shape)) for name, shape in inputs.items()],
        [(name, datatypes.Array(*shape)) for name, shape in outputs.items()],
        **options,
    )


def add_dense(made, name, source, target, width_in, width_out, bias=True):
    weights, biases = RANDOM.standard_normal((width_out, width_in)), RANDOM.standard_normal(width_out)
    made.add_inner_product(name, weights, biases if bias else None, width_in, width_out, bias, source, target)


def finish(made, trained, blob, adam=False):
    made.make_updatable(trained)
    quietly(made.set_categorical_cross_entropy_loss, "loss", blob)
    if adam:
        made.set_adam_optimizer(nn.AdamParams())
    else:
        made.set_sgd_optimizer(nn.SgdParams(0.05, 4))
    made.set_epochs(3)
    return made.spec


def double_inputs():
    made = builder({"x": (3,)}, {"p": (3,)})
    add_dense(made, "dense", "x", "z", 3, 3)
    made.add_softmax("softmax", "z", "p")
    return finish(made, ["dense"], "p", adam=True)


def float_inputs(width=5):
    made = builder({"features": (width,)}, {"p": (3,)}, use_float_arraytype=True)
    add_dense(made, "dense", "features", "z", width, 3)
    made.add_softmax("softmax", "z", "p")
    return finish(made, ["dense"], "p")


def squared_error():
    made = builder({"x": (3,)}, {"y": (2,)})
    add_dense(made, "dense", "x", "y", 3, 2, bias=False)
    made.make_updatable(["dense"])
    quietly(made.set_mean_squared_error_loss, "loss", ("y", datatypes.Array(2)))
    made.set_sgd_optimizer(nn.SgdParams(0.05, 4))
    made.set_epochs(3)
    return made.spec


def classifier(labels):
    made = builder({"x": (3,)}, {"p": (3,)}, mode="classifier")
    add_dense(made, "dense", "x", "z", 3, 3)
    made.add_softmax("softmax", "z", "p")
    quietly(made.set_class_labels, labels, predicted_feature_name="label", prediction_blob="p")
    return finish(made, ["dense"], "p")


def convolutional():
    made = builder({"image": (1, 8, 8)}, {"p": (3,)})
    kernel, bias = RANDOM.standard_normal((3, 3, 1, 4)), RANDOM.standard_normal(4)
    made.add_convolution("conv", 1, 4, 3, 3, 1, 1, "same", 1, kernel, bias, True, input_name="image", output_name="c")
    made.add_activation("relu", "RELU", "c", "r")
    made.add_pooling("pool", 2, 2, 2, 2, "MAX", "VALID", "r", "s")
    made.add_flatten("flat", 0, "s", "f")
    add_dense(made, "dense", "f", "z", 64, 3)
    made.add_softmax("softmax", "z", "p")
    return finish(made, ["conv", "dense"], "p")


def samples(description, count=4):
    """Random samples for every training input."""
    found = {}
    for feature in description.training_inputs:
        if feature.kind in ("string", "int64"):
            labels = description.class_labels
            found[feature.name] = np.array([labels[row % len(labels)] for row in range(count)])
        elif feature.dtype == "int32":
            found[feature.name] = np.arange(count, dtype=np.int32)[:, None] % 3
        else:
            found[feature.name] = RANDOM.standard_normal((count, *feature.shape)).astype(np.float32)
    return found


MODELS = {
    "double": double_inputs,
    "float": float_inputs,
    "squared error": squared_error,
    "text labels": lambda: classifier(["a", "b", "c"]),
    "integer labels": lambda: classifier([3, 1, 2]),
    "convolution": convolutional,
}


@pytest.mark.parametrize("name", MODELS)
def test_models_of_the_builder(tmp_path, name):
    path = tmp_path / "model.mlmodel"
    path.write_bytes(encode(MODELS[name]()))
    assert validate(path, require_updatable=True) == []
    model = MLModel(path)
    data = samples(model.description)
    before = model.predict(data)
    trained = update_model(model, data)
    trained.model.write(tmp_path / "new.mlmodel")
    after = MLModel(tmp_path / "new.mlmodel").predict(data)
    assert before.keys() == after.keys()
    assert any(not np.array_equal(before[key], after[key]) for key in before)
    assert validate(tmp_path / "new.mlmodel", require_updatable=True) == []


def base_and_head():
    """A small ML Program (x [4] → features [60]) and a head on it, in a pipeline as coremltools makes it."""
    from coremltools.converters.mil import Builder as mb

    weights = RANDOM.standard_normal((60, 4)).astype(np.float32)

    @mb.program(input_specs=[mb.TensorSpec(shape=(4,))])
    def program(x):
        hidden = mb.linear(x=mb.expand_dims(x=x, axes=[0]), weight=weights, bias=np.zeros(60, dtype=np.float32))
        return mb.reshape(x=mb.tanh(x=hidden), shape=[60], name="features")

    base = quietly(
        ct.convert,
        program,
        convert_to="mlprogram",
        minimum_deployment_target=ct.target.iOS16,
        compute_precision=ct.precision.FLOAT32,
        outputs=[ct.TensorType(name="features", dtype=np.float32)],
    )
    head = float_inputs(60)
    return ct.utils.make_pipeline(base, ct.models.MLModel(head)), head, weights


def test_an_ml_program_and_a_head_in_one_pipeline(tmp_path):
    pipeline, head, weights = base_and_head()
    spec = pipeline.get_spec()
    # what make_pipeline gives is not valid as it is
    assert {finding.rule for finding in validate_model(spec)} == {"pipeline_updatable"}
    spec.isUpdatable = True
    assert {finding.rule for finding in validate_model(spec)} == {"pipeline_training_inputs"}
    spec.description.trainingInput.extend([*spec.description.input, head.description.trainingInput[1]])
    path = tmp_path / "pipeline.mlpackage"
    ct.models.MLModel(spec, weights_dir=pipeline.weights_dir).save(str(path))
    assert validate(path, require_updatable=True) == []
    model = MLModel(path)
    data = samples(model.description, 8)
    trained = update_model(model, data).model
    trained.write(tmp_path / "new.mlpackage")
    again = MLModel(tmp_path / "new.mlpackage")
    assert validate(tmp_path / "new.mlpackage") == []
    (tmp_path / "head.mlmodel").write_bytes(encode(head))
    features = np.tanh(data["x"] @ weights.T)
    alone = update_model(tmp_path / "head.mlmodel", {"features": features, "p_true": data["p_true"]}).model
    np.testing.assert_allclose(
        again.predict({"x": data["x"]})["p"], alone.predict({"features": features})["p"], rtol=1e-4, atol=1e-6
    )


def test_eight_bit_weights_cannot_be_updated():
    spec = float_inputs()
    quantised = quietly(nn.quantization_utils.quantize_weights, ct.models.MLModel(spec), 8)
    made = quantised.get_spec() if hasattr(quantised, "get_spec") else quantised
    assert "quantized_weights" in {finding.rule for finding in validate_model(made)}
