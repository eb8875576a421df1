"""A whole run of the trainer in a tiny geometry: every step for real, from a random teacher to a release folder."""

from __future__ import annotations

import hashlib
import json
import shutil
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("torch", reason="training needs the extra trainer")
pytest.importorskip("transformers", reason="training needs the extra trainer")
pytest.importorskip("coremltools", reason="exporting needs the extra sim")

from headway.contract.errors import RefusedError
from headway.contract.features import FeatureContract
from headway.contract.tokenizer import Tokenizer
from headway.coreml.features import Features
from headway.coreml.golden import read_base_golden, read_head_golden
from headway.coreml.model import MLModel
from headway_trainer.binding import forget_from
from headway_trainer.config import read_config
from headway_trainer.evaluate import accuracy
from headway_trainer.gate import DeviceReport, Waiver
from headway_trainer.head_folder import measure_head
from headway_trainer.order import ORDER, first_reader
from headway_trainer.pipeline import STEPS, run_steps
from headway_trainer.run import Places, Run
from headway_trainer.steps import lexicon as lexicon_step

from .test_loop import nearly_full_disk


def start(workshop: Any, folder: Path) -> Run:
    places = Places(workshop.config.parent, folder, str(workshop.teacher), workshop.corpora)
    return Run(read_config(workshop.config), places)


@pytest.fixture(scope="module")
def finished(workshop: Any, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, Any]]:
    folder = tmp_path_factory.mktemp("run")
    return folder, run_steps(start(workshop, folder))


def digests(folder: Path) -> dict[str, str]:
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    return {str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


def test_every_step_leaves_its_facts(finished: tuple[Path, dict[str, Any]]) -> None:
    folder, facts = finished
    assert list(facts) == list(STEPS)
    for step in STEPS:
        assert json.loads((folder / step / "facts.json").read_text("utf-8"))["seconds"] >= 0
    assert not list(folder.rglob("*.latest.pt")), "a step that is done needs no checkpoint"


def test_the_release_is_complete(finished: tuple[Path, dict[str, Any]]) -> None:
    release = finished[0] / "release"
    for name in ("NOTICE.md", "base/base.mlpackage/Manifest.json", "base/golden.jsonl", "base/card.json"):
        assert (release / name).exists(), name
    card = json.loads((release / "base/card.json").read_text("utf-8"))
    assert card["teacher"]["name"] == "a random teacher"
    verdicts = {line["metric"]: line["verdict"] for line in card["gate"]}
    assert verdicts["size"] == verdicts["parity"] == "passed"
    assert verdicts["cpu"] == verdicts["latency"] == "not evidenced"
    assert card["figures"]["counted_per_text"]["at_least_ms"] > 0
    assert "Apache-2.0" in (release / "NOTICE.md").read_text("utf-8")


def test_exported_weights_are_those_of_training(finished: tuple[Path, dict[str, Any]]) -> None:
    facts = finished[1]["export-base"]
    assert facts["int8_matrices_equal_to_qat_in_every_bit"] == finished[1]["qat"]["matrices"] + 1, (
        "the lexicon is the one more"
    )
    assert facts["feature_deviation_from_qat"] < 1e-5
    assert facts["label_agreement_with_qat"] == 1.0


def test_dev_judges_a_lexicon_that_has_not_learnt_from_it(workshop: Any, finished: tuple[Path, dict[str, Any]]) -> None:
    run = start(workshop, finished[0])
    (topics,) = run.sets
    with np.load(run.folder("export-base") / "features.npz") as kept:
        features = kept["dev"]
    before = lexicon_step.unlearnt(run, topics, features)
    moved = np.abs(before - features).max(0) > 1e-3
    assert not moved[: run.config.student.feature_dimension].any()
    assert moved[run.told_of(topics)].all(), "the package's lexicon has learnt from dev"
    labels = list(run.examples(topics, "dev").labels)
    assert (
        finished[1]["lexicon"]["dev"] == accuracy(before[:, run.told_of(topics)].argmax(1).tolist(), labels).to_json()
    )
    for name in ("topic-1", "topic-2"):
        found = measure_head(run.folder("release") / "heads" / name, before, labels, 3)["test"]
        assert finished[1]["fit-heads"][name]["dev"] == found


def test_golden_batches_hold_what_the_files_give(finished: tuple[Path, dict[str, Any]]) -> None:
    base = finished[0] / "release/base"
    tokenizer = Tokenizer.from_vocab(base / "vocab.txt")
    contract = FeatureContract.from_bytes((base / "contract.json").read_bytes())
    texts = [json.loads(line)["text"] for line in (base / "golden.jsonl").read_text("utf-8").splitlines()]
    golden = read_base_golden(base / "golden.safetensors")
    found = Features(base / "base.mlpackage", tokenizer, contract).of(texts)
    np.testing.assert_allclose(found, golden.features, atol=1e-5)
    for name in ("topic-1", "topic-2"):
        folder = finished[0] / "release/heads" / name
        batch = read_head_golden(folder / "golden.safetensors")
        given = MLModel(folder / "head.mlmodel").predict({"features": batch.features})["probabilities"]
        np.testing.assert_allclose(given, batch.probabilities, atol=1e-6)
        assert np.bincount(batch.labels).tolist() == [3, 3, 3]


def test_a_finished_run_does_nothing_again(workshop: Any, finished: tuple[Path, dict[str, Any]]) -> None:
    before = digests(finished[0])
    assert run_steps(start(workshop, finished[0])) == finished[1]
    assert digests(finished[0]) == before


MADE = ("base/base.mlpackage", "heads/topic-1", "heads/topic-2")


def made(folder: Path) -> dict[str, dict[str, str]]:
    """Digests of what a run made, without the cards, which tell seconds."""
    found = {name: digests(folder / "release" / name) for name in MADE}
    return {name: {file: held for file, held in files.items() if file != "card.json"} for name, files in found.items()}


@pytest.mark.parametrize("kept", [(), ("prepare", "teacher", "distil-general")], ids=["twice", "resumed"])
def test_a_run_twice_or_resumed_makes_the_same_heads(
    workshop: Any, finished: tuple[Path, dict[str, Any]], tmp_path: Path, kept: tuple[str, ...]
) -> None:
    for step in kept:
        shutil.copytree(finished[0] / step, tmp_path / "run" / step)
    run_steps(start(workshop, tmp_path / "run"), list(ORDER[: ORDER.index("fit-heads") + 1]))
    assert all(made(finished[0]).values())
    assert made(tmp_path / "run") == made(finished[0])


@pytest.mark.parametrize("step", ["export-base", "fit-heads"])
def test_a_release_on_a_full_disk_is_one_sentence_and_goes_on(
    workshop: Any, finished: tuple[Path, dict[str, Any]], tmp_path: Path, step: str
) -> None:
    shutil.copytree(finished[0], tmp_path / "run")
    forget_from(tmp_path / "run", step)
    with nearly_full_disk(700), pytest.raises(RefusedError) as caught:
        run_steps(start(workshop, tmp_path / "run"), [step])
    assert caught.value.code == "train.disk"
    assert "--resume" in caught.value.hint
    run_steps(start(workshop, tmp_path / "run"), ["export-base", "fit-heads"])
    again, before = made(tmp_path / "run"), made(finished[0])
    for found in (again, before):
        # After a conversion that broke off, coremltools counts on in the names it gives constants: this is one process.
        del found["base/base.mlpackage"]["Data/com.apple.CoreML/model.mlmodel"]
    assert again == before


def test_a_step_before_its_predecessor_is_refused(workshop: Any, tmp_path: Path) -> None:
    with pytest.raises(RefusedError) as caught:
        run_steps(start(workshop, tmp_path), ["distil-task"])
    assert caught.value.code == "train.order"


def test_an_unknown_step_is_refused(workshop: Any, tmp_path: Path) -> None:
    with pytest.raises(RefusedError, match="no step destil"):
        run_steps(start(workshop, tmp_path), ["destil"])


def changed(workshop: Any, folder: Path, old: str, new: str) -> Run:
    other = folder.parent / f"{folder.name}.toml"
    other.write_text(workshop.config.read_text("utf-8").replace(old, new, 1), "utf-8")
    places = Places(workshop.config.parent, folder, str(workshop.teacher), workshop.corpora)
    return Run(read_config(other), places)


def test_another_configuration_needs_another_folder_or_the_steps_again(workshop: Any, tmp_path: Path) -> None:
    folder = tmp_path / "run"
    run = start(workshop, folder)
    run.record("prepare", {"seconds": 1})
    with pytest.raises(RefusedError, match="seed changed, and the step prepare is done") as caught:
        changed(workshop, folder, "seed = 3", "seed = 4")
    assert "--again prepare" in caught.value.hint
    forget_from(folder, "prepare")
    assert changed(workshop, folder, "seed = 3", "seed = 4").config.seed == 4


def test_what_no_finished_step_has_read_may_change(workshop: Any, tmp_path: Path) -> None:
    folder = tmp_path / "run"
    run = start(workshop, folder)
    run.record("prepare", {"seconds": 1})
    half_done = [run.folder("teacher") / "model.latest.pt", run.folder("qat") / "model.latest.pt"]
    for path in half_done:
        path.write_bytes(b"half done")
    changed(workshop, folder, "learning_rate = 1e-4", "learning_rate = 2e-4")
    assert [path.exists() for path in half_done] == [True, False], "what the old value made starts over, nothing else"
    changed(workshop, folder, "learning_rate = 1e-3", "learning_rate = 2e-3")
    assert not half_done[0].exists()
    assert run.facts("prepare") is not None


def test_a_damaged_mark_is_named(workshop: Any, tmp_path: Path) -> None:
    start(workshop, tmp_path / "run")
    (tmp_path / "run/config.json").write_text("{", "utf-8")
    with pytest.raises(RefusedError, match="damaged"):
        start(workshop, tmp_path / "run")


def test_every_step_has_its_place_in_the_order() -> None:
    assert tuple(STEPS) == ORDER
    assert first_reader("student.max_length") == first_reader("what.nobody.knows") == "trim"
    assert first_reader("task.schedule.learning_rate") == "distil-task"
    assert first_reader("threads") is None


def test_missing_corpora_folder_is_named(workshop: Any, tmp_path: Path) -> None:
    run = Run(read_config(workshop.config), Places(workshop.config.parent, tmp_path, str(workshop.teacher)))
    with pytest.raises(RefusedError, match=r"lines\.txt"):
        run_steps(run, ["prepare"])


@pytest.mark.slow
def test_a_killed_run_goes_on_and_ends_the_same(
    workshop: Any, finished: tuple[Path, dict[str, Any]], tmp_path: Path
) -> None:
    folder = tmp_path / "run"
    shutil.copytree(finished[0] / "prepare", folder / "prepare")
    shutil.copytree(finished[0] / "teacher", folder / "teacher")
    shutil.copytree(finished[0] / "second-opinion", folder / "second-opinion")
    command = [sys.executable, "-m", "headway_trainer", str(workshop.config), "--run", str(folder), "--resume"]
    command += ["--teacher", str(workshop.teacher), "--corpora", str(workshop.corpora)]
    start(workshop, folder)
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as running:
        waited = time.monotonic() + 200
        while not (folder / "distil-general/model.pt").exists() and running.poll() is None:
            assert time.monotonic() < waited, "the run did not get as far as its first checkpoint"
            time.sleep(0.01)
        running.kill()
    assert not (folder / "cards/facts.json").exists(), "it was killed on its way"
    run_steps(start(workshop, folder))
    for name in ("base/base.mlpackage", "heads/topic-1/head.mlmodel", "heads/topic-2/head.mlmodel"):
        old, new = finished[0] / "release" / name, folder / "release" / name
        assert digests(old) == digests(new) if old.is_dir() else old.read_bytes() == new.read_bytes()


def test_the_run_has_its_own_facts_and_curves(finished: tuple[Path, dict[str, Any]]) -> None:
    folder, facts = finished
    whole = json.loads((folder / "facts.json").read_text("utf-8"))
    assert whole["steps"] == json.loads(json.dumps(facts))
    assert whole["config"]["base_id"] == "tiny"
    made_with = whole["steps"]["qat"]["made_with"]
    assert made_with["trainer_sources"].startswith("sha256:")
    assert {"python", "torch", "coremltools", "headway"} <= set(made_with)
    names = {path.stem for path in (folder / "curves").glob("*.svg")}
    assert names == {"teacher", "distil-general", "distil-task", "qat"}


def test_waivers_and_device_reports_go_into_the_card(
    workshop: Any, finished: tuple[Path, dict[str, Any]], tmp_path: Path
) -> None:
    folder = tmp_path / "run"
    shutil.copytree(finished[0], folder)
    run = start(workshop, folder)
    waived = (Waiver("latency", "no phone here"), Waiver("cpu", "no phone here"))
    facts = run_steps(Run(run.config, replace(run.places, waivers=waived)))
    assert facts["gate"]["waivers"] == [{"metric": w.metric, "reason": w.reason} for w in waived]
    card = json.loads((folder / "release/base/card.json").read_text("utf-8"))
    assert card["waivers"] == facts["gate"]["waivers"]
    assert card["device_report"].startswith("none")
    phone = DeviceReport("a phone", latency_ms=12.0, memory_bytes=50_000_000, cpu_percent=20.0)
    facts = run_steps(Run(run.config, replace(run.places, report=phone)))
    assert {line["metric"]: line["verdict"] for line in facts["gate"]["lines"]}["latency"] == "passed"
    card = json.loads((folder / "release/base/card.json").read_text("utf-8"))
    assert card["device_report"]["device"] == "a phone"
    with pytest.raises(RefusedError, match="names no line"):
        run_steps(Run(run.config, replace(run.places, waivers=(Waiver("speed", "why not"),))))


def test_steps_of_the_student_may_be_left_out(
    workshop: Any, finished: tuple[Path, dict[str, Any]], tmp_path: Path
) -> None:
    shutil.copytree(finished[0], tmp_path / "run")
    text = workshop.config.read_text("utf-8")
    text = text.replace("[general]\nsteps = 6", "[general]\nsteps = 0").replace(
        "[qat]\nepochs = 1", "[qat]\nepochs = 0"
    )
    (tmp_path / "run.toml").write_text(text, "utf-8")
    forget_from(tmp_path / "run", "distil-general")
    places = Places(workshop.config.parent, tmp_path / "run", str(workshop.teacher), workshop.corpora)
    facts = run_steps(Run(read_config(tmp_path / "run.toml"), places))
    assert facts["distil-general"]["steps"] == 0
    qat = facts["qat"]
    assert (qat["dev"], qat["test"]) == (
        qat["rounded_without_training"]["dev"],
        qat["rounded_without_training"]["test"],
    )
    assert facts["export-base"]["int8_matrices_equal_to_qat_in_every_bit"] > 0
    assert facts["teacher"] == finished[1]["teacher"], "a finished step is shared, not done again"


def test_compression_and_half_measure_the_base_with_its_lexicon(
    workshop: Any, finished: tuple[Path, dict[str, Any]], tmp_path: Path
) -> None:
    shutil.copytree(finished[0], tmp_path / "run")
    extra = '\n[compress]\nplans = ["8"]\nrows = 4\n\n[half]\nrows = 4\n'
    (tmp_path / "run.toml").write_text(workshop.config.read_text("utf-8") + extra, "utf-8")
    places = Places(workshop.config.parent, tmp_path / "run", str(workshop.teacher), workshop.corpora)
    for name in ("config.json", "compress/facts.json", "half/facts.json"):
        (tmp_path / "run" / name).unlink()
    facts = run_steps(Run(read_config(tmp_path / "run.toml"), places), ["compress", "half"])
    assert facts["compress"]["lexicon"]
    assert facts["half"]["lexicon"]
    (plan,) = facts["compress"]["plans"].values()
    assert plan["parity"]["deviation"] < 1e-5, "the package computes what a student with its weights computes"
    assert plan["parity"]["agreement"] == plan["labels_equal_to_training"] == 1.0
    features = MLModel(tmp_path / "run/export-base/base.mlpackage").predict(
        {"input_ids": np.ones((1, 24), np.int32), "attention_mask": np.ones((1, 24), np.int32)}
    )["features"]
    for package in ("compress/8.mlpackage", "half/base.mlpackage"):
        found = MLModel(tmp_path / "run" / package).predict(
            {"input_ids": np.ones((1, 24), np.int32), "attention_mask": np.ones((1, 24), np.int32)}
        )["features"]
        assert found.shape == features.shape
        assert found == pytest.approx(features, abs=0.05)
