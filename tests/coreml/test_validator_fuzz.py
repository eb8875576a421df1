"""Any bytes in: findings or our own errors, nothing else; and what is valid can be trained."""

import contextlib
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from headway.contract.errors import HeadwayError
from headway.coreml import HeadLayout, MLModel, initial_head, update_model
from headway.coreml.description import describe
from headway.coreml.hyperparameters import Adam, AllowedSet
from headway.coreml.package import read_package
from headway.coreml.proto import encode, parse_model
from headway.coreml.validator import RULES, validate, validate_model

from .sample_models import pipeline, squared_error_model, to_classifier

TWICE = AllowedSet(2, (1, 2))
HEAD = parse_model(initial_head(HeadLayout(3, 2, hidden=(2,), epochs=TWICE), 1))
HEAD_OF_PIPELINE = parse_model(initial_head(HeadLayout(6, 3, hidden=(4,), epochs=TWICE), 1))
SEEDS = [
    encode(model)
    for model in (
        HEAD,
        parse_model(initial_head(HeadLayout(3, 2, optimizer=Adam(), epochs=TWICE), 1)),
        to_classifier(HEAD, ["a", "b"]),
        squared_error_model(),
        pipeline(HEAD_OF_PIPELINE),
    )
]


@st.composite
def mutated(draw):
    """Bytes of a valid model after a few edits: bytes changed, cut out, repeated, or put together from two models."""
    data = bytearray(draw(st.sampled_from(SEEDS)))
    for _ in range(draw(st.integers(1, 4))):
        start = draw(st.integers(0, len(data) - 1))
        end = draw(st.integers(start, min(start + 40, len(data))))
        match draw(st.sampled_from(["set", "cut", "repeat", "graft"])):
            case "set":
                data[start] = draw(st.integers(0, 255))
            case "cut":
                del data[start:end]
            case "repeat":
                data[end:end] = data[start:end]
            case "graft":
                other = draw(st.sampled_from(SEEDS))
                data[start:end] = other[start : end + draw(st.integers(0, 20))]
        if not data:
            return b""
    return bytes(data)


def exercise(path):
    """Validate *path*, then use it, valid or not; only Headway's own errors may come out of the use."""
    findings = validate(path)
    assert all(finding.rule in RULES and finding.message and finding.hint for finding in findings)
    with contextlib.suppress(HeadwayError), np.errstate(all="ignore"):
        package = read_package(path)
        describe(package.spec)
        if package.spec.isUpdatable:
            train(MLModel(package))


def train(model):
    """Predict and train on two rows of ones."""
    columns = {}
    for feature in (*model.description.inputs, *model.description.training_inputs):
        if int(np.prod(feature.shape, dtype=np.float64)) > 10_000:
            return
        columns[feature.name] = np.ones((2, *feature.shape), dtype=feature.numpy_dtype)
    if model.training_plan().epochs * model.training_plan().mini_batch_size < 100:
        update_model(model, columns)


@given(mutated())
@settings(max_examples=150, deadline=None)
def test_mutated_bytes(tmp_path_factory, data):
    path = tmp_path_factory.getbasetemp() / "mutated.mlmodel"
    path.write_bytes(data)
    exercise(path)


@given(st.binary(max_size=300))
@settings(max_examples=100, deadline=None)
def test_random_bytes(tmp_path_factory, data):
    path = tmp_path_factory.getbasetemp() / "random.mlmodel"
    path.write_bytes(data)
    exercise(path)


def fields(message, depth=0):
    """Every (message, field) that is set somewhere in *message*."""
    for field, value in message.ListFields():
        yield message, field
        if field.message_type is None or depth > 8 or field.message_type.GetOptions().map_entry:
            continue
        for child in value if field.is_repeated else [value]:
            yield from fields(child, depth + 1)


@given(st.data())
@settings(max_examples=100, deadline=None)
def test_models_with_fields_removed_or_changed(tmp_path_factory, data):
    model = parse_model(data.draw(st.sampled_from(SEEDS)))
    message, field = data.draw(st.sampled_from(list(fields(model))))
    value = getattr(message, field.name)
    if field.message_type is not None or field.is_repeated or data.draw(st.booleans()):
        message.ClearField(field.name)
    elif isinstance(value, bool):
        setattr(message, field.name, not value)
    elif isinstance(value, int | float):
        wild = st.sampled_from([0, 1, 2, 7, 2**31 - 1])
        with contextlib.suppress(ValueError):
            setattr(message, field.name, data.draw(wild))
    else:
        setattr(message, field.name, data.draw(st.sampled_from(["", "features", "probabilities", "x"])))
    path = tmp_path_factory.getbasetemp() / "changed.mlmodel"
    path.write_bytes(encode(model))
    exercise(path)


def test_a_long_model_is_validated_in_linear_time():
    model = parse_model(SEEDS[0])
    network = model.neuralNetwork
    for index in range(19_000):
        layer = network.layers.add(name=f"l{index}")
        layer.input.append("features" if index == 0 else f"b{index - 1}")
        layer.output.append(f"b{index}")
        layer.activation.ReLU.SetInParent()
    assert validate_model(model) == []


@pytest.mark.slow
def test_the_fuzz_target_runs(tmp_path):
    pytest.importorskip("atheris", reason="atheris is not installed")
    target = Path(__file__).parents[1] / "fuzz" / "fuzz_coreml.py"
    command = [sys.executable, str(target), str(tmp_path / "corpus"), "-runs=200", "-max_total_time=60"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=240)
    assert done.returncode == 0, done.stderr[-2000:]
    assert validate(_without_first(tmp_path / "corpus" / "sgd", b"")) == []
    assert validate(_without_first(tmp_path / "corpus" / "package", b"PK\x03\x04")) == []


def _without_first(path, prefix):
    """The model that a corpus file stands for: its first byte only chooses the form."""
    path.write_bytes(prefix + path.read_bytes()[1:])
    return path
