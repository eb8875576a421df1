"""``headway coreml``: what scripts rely on — exit codes, JSON lines, files."""

import contextlib
import io
import json
import tempfile
import zipfile
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from headway.cli.main import run
from headway.contract.errors import RefusedError
from headway.coreml import HeadLayout, MLModel, initial_head, update_model
from headway.coreml.arrays import read_arrays
from headway.coreml.proto import encode, parse_model
from headway.coreml.update.keys import MLModelConfiguration, MLParameterKey
from headway.coreml.update.semantics import Semantics
from headway.coreml.update.switches import write_semantics

from .sample_models import pipeline, to_classifier


@pytest.fixture
def head(tmp_path):
    path = tmp_path / "head.mlmodel"
    path.write_bytes(initial_head(HeadLayout(6, 3), 1))
    return path


@pytest.fixture
def samples(tmp_path):
    random = np.random.default_rng(4)
    data = {
        "features": random.standard_normal((25, 6)).astype(np.float32),
        "probabilities_true": random.integers(0, 3, (25, 1)).astype(np.int32),
    }
    path = tmp_path / "data.npz"
    np.savez(path, **data)
    return path, data


def call(capsys, *arguments):
    code = run(["coreml", *map(str, arguments)])
    captured = capsys.readouterr()
    return code, captured.out, captured.err


def test_a_valid_model(head, capsys):
    assert call(capsys, "validate", head)[:2] == (0, "")
    code, out, _ = call(capsys, "validate", head, "--json", "--updatable")
    assert (code, json.loads(out)) == (0, {"schema": 1, "valid": True, "findings": []})


def test_one_line_per_rule_broken(head, capsys):
    model = parse_model(head.read_bytes())
    model.specificationVersion = 3
    model.neuralNetwork.updateParams.ClearField("epochs")
    head.write_bytes(encode(model))
    code, out, _ = call(capsys, "validate", head)
    assert code == 3
    assert [line.split(":")[0] for line in out.splitlines()] == ["spec_version", "epochs_missing"]
    code, out, _ = call(capsys, "validate", head, "--json")
    assert code == 3
    assert [finding["rule"] for finding in json.loads(out)["findings"]] == ["spec_version", "epochs_missing"]


def test_damaged_and_missing_files(tmp_path, capsys):
    (tmp_path / "bad.mlmodel").write_bytes(b"\xff" * 100)
    code, out, _ = call(capsys, "validate", tmp_path / "bad.mlmodel")
    assert code == 3
    assert out.startswith("readable: ")
    code, out, err = call(capsys, "validate", tmp_path / "none.mlmodel")
    assert (code, out) == (5, "")
    assert "Hint:" in err


def test_predict_writes_what_the_model_gives(head, samples, tmp_path, capsys):
    path, data = samples
    assert call(capsys, "predict", head, "--inputs", path, "--outputs", tmp_path / "out.npz")[0] == 0
    expected = MLModel(head).predict(data)
    with np.load(tmp_path / "out.npz") as out:
        np.testing.assert_array_equal(out["probabilities"], expected["probabilities"])
    np.savez(tmp_path / "one.npz", features=data["features"][0])
    assert call(capsys, "predict", head, "--inputs", tmp_path / "one.npz", "--outputs", tmp_path / "out.npz")[0] == 0
    with np.load(tmp_path / "out.npz") as out:
        assert out["probabilities"].shape == (3,)


def test_predicted_labels_are_text(head, samples, tmp_path, capsys):
    head.write_bytes(encode(to_classifier(parse_model(head.read_bytes()), ["film", "音乐", "travel"])))
    assert call(capsys, "predict", head, "--inputs", samples[0], "--outputs", tmp_path / "out.npz")[0] == 0
    with np.load(tmp_path / "out.npz", allow_pickle=False) as out:
        assert set(out["label"].tolist()) <= {"film", "音乐", "travel"}


def test_update(head, samples, tmp_path, capsys):
    path, data = samples
    out_path = tmp_path / "new.mlmodel"
    options = ["--epochs", 4, "--mini-batch-size", 5, "--learning-rate", 0.2, "--seed", 7]
    code, out, _ = call(capsys, "update", head, "--data", path, "--out", out_path, *options)
    assert code == 0
    lines = [json.loads(line) for line in out.splitlines()]
    assert [line["epoch"] for line in lines] == [0, 1, 2, 3]
    keys = {"epochs": 4, "miniBatchSize": 5, "learningRate": 0.2}
    configuration = MLModelConfiguration({getattr(MLParameterKey, key): value for key, value in keys.items()})
    expected = update_model(MLModel(head).configured(configuration), data)
    assert out_path.read_bytes() == expected.model.spec_bytes
    assert lines[-1]["loss"] == next(iter(expected.metrics.values()))
    assert call(capsys, "validate", out_path)[0] == 0


def test_update_with_switches_of_a_device(head, samples, tmp_path, capsys):
    path, data = samples
    switches = Semantics(loss_reduction="sum")
    write_semantics(tmp_path / "device.json", switches)
    out_path = tmp_path / "new.mlmodel"
    code, _, _ = call(
        capsys, "update", head, "--data", path, "--out", out_path, "--semantics", tmp_path / "device.json"
    )
    assert code == 0
    assert out_path.read_bytes() == update_model(head, data, semantics=switches).model.spec_bytes


def test_shuffling_needs_to_be_asked_for(head, samples, tmp_path, capsys):
    results = []
    for options in ([], ["--shuffle", "--seed", 1], ["--shuffle", "--seed", 2]):
        out_path = tmp_path / "new.mlmodel"
        assert call(capsys, "update", head, "--data", samples[0], "--out", out_path, *options)[0] == 0
        results.append(out_path.read_bytes())
    assert len(set(results)) == 3


@pytest.mark.parametrize("options", [["--epochs", 101], ["--mini-batch-size", 7], ["--learning-rate", 2]])
def test_parameters_that_the_head_does_not_allow(head, samples, tmp_path, capsys, options):
    out_path = tmp_path / "new.mlmodel"
    code, out, err = call(capsys, "update", head, "--data", samples[0], "--out", out_path, *options)
    assert (code, out) == (1, "")
    assert "[mlmodel_parameters]" in err
    assert not out_path.exists()


def test_files_that_are_no_arrays(head, samples, tmp_path, capsys):
    (tmp_path / "bad.npz").write_bytes(b"PK\x03\x04nothing")
    np.save(tmp_path / "pickled.npy", np.array([{"a": 1}]), allow_pickle=True)
    for name in ("bad.npz", "pickled.npy"):
        assert call(capsys, "predict", head, "--inputs", tmp_path / name, "--outputs", tmp_path / "o")[0] == 1
    assert call(capsys, "predict", head, "--inputs", tmp_path / "none", "--outputs", tmp_path / "o")[0] == 5


def npy(shape):
    stream = io.BytesIO()
    np.lib.format.write_array_header_1_0(stream, {"descr": "<f8", "fortran_order": False, "shape": shape})
    return stream.getvalue() + bytes(64)


@pytest.mark.parametrize("shape", [(10**13,), (10**30,), (-5,), (2, 10**7, 10**7)])
def test_arrays_that_claim_what_is_not_there(head, tmp_path, capsys, shape):
    with zipfile.ZipFile(tmp_path / "in.npz", "w") as archive:
        archive.writestr("features.npy", npy(shape))
    code, _, err = call(capsys, "predict", head, "--inputs", tmp_path / "in.npz", "--outputs", tmp_path / "o")
    assert code == 1
    assert "[npz]" in err


@given(st.lists(st.tuples(st.integers(0, 2**16), st.integers(0, 255)), max_size=8), st.booleans())
@settings(max_examples=60, deadline=None)
def test_arrays_of_damaged_bytes(changes, packed):
    """Encrypted members, unknown methods, broken deflate streams, headers: no error but our own."""
    stream = io.BytesIO()
    save = np.savez_compressed if packed else np.savez
    save(stream, features=np.arange(60, dtype=np.float32))
    data = bytearray(stream.getvalue())
    for place, value in changes:
        data[place % len(data)] = value
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "in.npz"
        path.write_bytes(data)
        with contextlib.suppress(RefusedError):
            read_arrays(path)


def test_inspect(head, tmp_path, capsys):
    code, out, _ = call(capsys, "inspect", head)
    assert code == 0
    assert "dense_0" in out
    assert "miniBatchSize" in out
    code, out, _ = call(capsys, "inspect", head, "--json")
    found = json.loads(out)
    assert code == 0
    assert found["layers"][0]["parameters"] == 21
    assert found["feature_contract"] == [{"name": "features", "type": "multiArray", "dtype": "float32", "shape": [6]}]
    assert found["training"]["parameters"]["learningRate"] == {"default": 0.05, "range": [0.0, 1.0]}
    (tmp_path / "p.mlmodel").write_bytes(encode(pipeline()))
    code, out, _ = call(capsys, "inspect", tmp_path / "p.mlmodel")
    assert code == 0
    assert "stage 1" in out


def test_inspect_a_base(capsys):
    base = Path(__file__).parents[2] / "ios_fixtures" / "models" / "base" / "base.mlpackage"
    code, out, _ = call(capsys, "inspect", base, "--json")
    found = json.loads(out)
    assert code == 0
    assert found["operations"]["linear"] > 0
    stored = sum(row["bytes"] for row in found["weights"])
    on_disk = next(file["bytes"] for file in found["files"] if file["path"].endswith("weight.bin"))
    assert {"int8", "float32"} <= {row["type"] for row in found["weights"]}
    assert 0.95 * on_disk < stored <= on_disk
    assert "int8" in call(capsys, "inspect", base)[1]
