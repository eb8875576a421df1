"""Every rule: one change to a valid head that breaks exactly that rule (the changes are in ``rule_cases_*``)."""

import numpy as np
import pytest

from headway.coreml import HeadLayout, initial_head
from headway.coreml.validator import RULES, Finding, validate, validate_model

from . import rule_cases_training  # noqa: F401 - its cases register themselves
from .neural_specs import add_dense, add_layer, fill, new_model
from .rule_cases import CASES, adam, classifier, head, layer, mse, sgd, update
from .rule_cases_network import bias_not_marked
from .sample_models import pipeline


@pytest.mark.parametrize("make", [head, classifier, mse, adam, pipeline, lambda: classifier((1, 2, 3))])
def test_valid_models_have_no_findings(make):
    assert validate_model(make(), require_updatable=True) == []


def test_every_rule_has_a_case():
    assert {case.values[0] for case in CASES} | {"readable", "not_updatable"} == set(RULES)


@pytest.mark.parametrize(("rule", "make", "mutate"), CASES)
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
