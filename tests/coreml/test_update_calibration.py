"""The calibration kit: a device of any semantics is recognised from its readings."""

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from headway.cli.main import run
from headway.contract.errors import RefusedError
from headway.coreml.calibration.experiments import experiments, kit_digest
from headway.coreml.calibration.kit import make_kit
from headway.coreml.calibration.reading import decide, read_result
from headway.coreml.calibration.simulate import simulate
from headway.coreml.update.semantics import CHOICES, Semantics
from headway.coreml.update.switches import read_semantics
from headway.coreml.validator import validate


def readings_of(semantics):
    return {one.name: simulate(one, semantics) for one in experiments()}


switches = st.fixed_dictionaries({name: st.sampled_from(choices) for name, choices in CHOICES.items()})


@given(switches)
@settings(max_examples=12, deadline=None)
def test_a_device_is_recognised(chosen):
    semantics = Semantics(**chosen)
    found, decisions = decide(readings_of(semantics))
    undecided = {decision.switch for decision in decisions if decision.setting is None}
    # without a shuffle nothing shows when it would be repeated
    assert undecided == ({"reshuffle"} if semantics.shuffle_rule == "none" else set())
    expected = semantics.to_json() | {switch: Semantics().to_json()[switch] for switch in undecided}
    assert found.to_json() == expected


def test_rounding_of_another_machine_is_forgiven():
    readings = readings_of(Semantics(loss_reduction="sum"))
    for reading in readings.values():
        for key, values in reading.get("weights", {}).items():
            reading["weights"][key] = [value + 5e-6 for value in values]
    found, decisions = decide(readings)
    assert found == Semantics(loss_reduction="sum")
    assert all(decision.setting is not None for decision in decisions)


def test_an_unknown_behaviour_stays_undecided():
    readings = readings_of(Semantics())
    readings["momentum_form"]["weights"]["dense_0.biases"] = [9.0, 9.0, 9.0]
    readings["shuffle_rule"] = {"failed": "some error"}
    readings["adam_epsilon"]["weights"]["dense_0.weights"][0] = float("nan")
    readings["partial_batch"] = "nonsense"
    del readings["cancel"]
    found, decisions = decide(readings)
    undecided = {decision.switch for decision in decisions if decision.setting is None}
    assert undecided == {"momentum_form", "shuffle_rule", "adam_epsilon", "partial_batch", "completion_after_cancel"}
    assert found == Semantics()


def test_the_kit_for_a_phone(tmp_path):
    make_kit(tmp_path / "kit")
    described = json.loads((tmp_path / "kit" / "experiments.json").read_text())
    assert described["kit"] == kit_digest()
    for one in described["experiments"]:
        assert validate(tmp_path / "kit" / one["model"], require_updatable=True) == []
        assert set(one["integers"]) <= set(one["samples"])
    expected = json.loads((tmp_path / "kit" / "expected.json").read_text())["expected"]
    assert expected.keys() == CHOICES.keys()
    assert expected["loss_reduction"]["mean"] != expected["loss_reduction"]["sum"]
    assert "MLUpdateTask" in (tmp_path / "kit" / "Calibrate.swift").read_text()


def test_from_kit_to_switches_on_the_command_line(tmp_path, capsys):
    assert run(["coreml", "calibrate", "make", str(tmp_path / "kit")]) == 0
    device = Semantics(loss_reduction="sum", partial_batch="wrap", momentum_form="dampened")
    result = {"schema": 1, "kit": kit_digest(), "system": "test", "experiments": readings_of(device)}
    (tmp_path / "result.json").write_text(json.dumps(result))
    out = tmp_path / "semantics.json"
    assert run(["coreml", "calibrate", "read", str(tmp_path / "result.json"), "--out", str(out)]) == 0
    assert read_semantics(out) == device
    del result["experiments"]["cancel"]
    (tmp_path / "result.json").write_text(json.dumps(result))
    capsys.readouterr()
    assert run(["coreml", "calibrate", "read", str(tmp_path / "result.json"), "--json"]) == 3
    decisions = json.loads(capsys.readouterr().out)["decisions"]
    assert [one["switch"] for one in decisions if one["setting"] is None] == ["completion_after_cancel"]


@pytest.mark.parametrize(
    "content", ["", "[]", "{}", '{"experiments": {}}', '{"experiments": {}, "kit": "other"}', "[" * 99999]
)
def test_files_that_are_no_results(tmp_path, content):
    path = tmp_path / "result.json"
    path.write_text(content)
    with pytest.raises(RefusedError) as caught:
        read_result(path)
    assert caught.value.code == "calibration"


def test_a_result_that_is_not_there(tmp_path, capsys):
    assert run(["coreml", "calibrate", "read", str(tmp_path / "none.json")]) == 5
    assert "[not_found]" in capsys.readouterr().err
    (tmp_path / "result.json").write_text("{}")
    nowhere = str(tmp_path / "no" / "folder.json")
    assert run(["coreml", "calibrate", "read", str(tmp_path / "result.json"), "--out", nowhere]) == 2
