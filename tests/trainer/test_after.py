"""A run that goes on after another: what it keeps, what it trains further, what it refuses."""

from __future__ import annotations

import json
import shutil
import tomllib
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

torch = pytest.importorskip("torch", reason="training needs the extra trainer")
pytest.importorskip("transformers", reason="training needs the extra trainer")
pytest.importorskip("coremltools", reason="exporting needs the extra sim")

from headway.contract.errors import RefusedError
from headway_trainer.cli import app
from headway_trainer.config import from_document, read_config
from headway_trainer.earlier import differences
from headway_trainer.learning import checkpoint
from headway_trainer.pipeline import run_steps
from headway_trainer.run import Places, Run

from .test_sets import config_text

LEARNT = ["trim", "prepare", "teacher", "second-opinion", "distil-general", "distil-task"]


def run_of(workshop: Any, folder: Path, after: Path | None = None, **changed: tuple[str, str]) -> Run:
    text = workshop.config.read_text("utf-8").replace("[teacher]\n", "[trim]\nmin_count = 2\n\n[teacher]\n")
    for old, new in changed.values():
        assert old in text, old
        text = text.replace(old, new, 1)
    config = folder.with_suffix(".toml")
    config.write_text(text, "utf-8")
    places = Places(workshop.config.parent, folder, str(workshop.teacher), workshop.corpora, after=after)
    return Run(read_config(config), places)


@pytest.fixture(scope="module")
def first(workshop: Any, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("first") / "run"
    run_steps(run_of(workshop, folder), LEARNT)
    return folder


def weights(folder: Path, step: str) -> dict[str, Any]:
    held = checkpoint.load(folder / step / "model.pt")
    assert held is not None
    return dict(held["model"])


FURTHER: dict[str, tuple[str, str]] = {
    "cut": ("min_count = 2", "min_count = 3"),
    "general": ("steps = 6", "steps = 0"),
    "task": ("[task]\nepochs = 2", "[task]\nepochs = 1\nalpha = 0.0"),
}
"""Fewer words if it trimmed them itself, no more general distillation, labels alone."""


def test_vocabulary_and_teacher_stay_and_the_student_learns_on(workshop: Any, first: Path, tmp_path: Path) -> None:
    alone = run_steps(run_of(workshop, tmp_path / "alone", **FURTHER), ["trim"])["trim"]
    facts = run_steps(run_of(workshop, tmp_path / "run", first, **FURTHER))
    assert facts["trim"]["kept"] > alone["kept"]
    assert (tmp_path / "run/trim/vocab.txt").read_bytes() == (first / "trim/vocab.txt").read_bytes()
    told = json.loads((first / "teacher/facts.json").read_text("utf-8"))
    assert facts["teacher"]["taken_over"] is True
    assert all(facts["teacher"][name] == told[name] for name in ("scores", "best", "curve", "test"))
    assert all(torch.equal(v, weights(tmp_path / "run", "teacher")[k]) for k, v in weights(first, "teacher").items())
    began, ended = weights(tmp_path / "run", "distil-general"), weights(first, "distil-task")
    own = [name for name in ended if name.startswith("0.")]
    assert own
    assert all(torch.equal(began[name], ended[name]) for name in own)
    assert not all(torch.equal(weights(tmp_path / "run", "distil-task")[name], ended[name]) for name in own)
    assert facts["distil-general"]["texts"] == 0, "nothing is taught from them, so none was read"
    assert facts["distil-general"]["weights_of_an_earlier_run"] == sum(ended[name].numel() for name in own)


def test_cards_tell_whose_work_goes_on(workshop: Any, first: Path, tmp_path: Path) -> None:
    run_steps(run_of(workshop, tmp_path / "run", first, **FURTHER))
    release = tmp_path / "run/release"
    mark = json.loads((first / "config.json").read_text("utf-8"))["digest"]
    began = json.loads((release / "base/card.json").read_text("utf-8"))["initialisation"]
    assert began.startswith(f"The student of an earlier run (its configuration: {mark}), trained further. Word emb")
    assert "began as a projection of the teacher's" in (release / "NOTICE.md").read_text("utf-8")


def test_what_is_no_earlier_run_is_refused_before_anything_is_trained(
    workshop: Any, first: Path, tmp_path: Path
) -> None:
    half = shutil.copytree(first, tmp_path / "half")
    shutil.rmtree(half / "distil-task")
    (tmp_path / "empty").mkdir()
    for after, code, said in (
        (half, "train.after", "its step distil-task is not done"),
        (tmp_path / "empty", "train.folder", "empty is no run folder"),
    ):
        with pytest.raises(RefusedError, match=said) as caught:
            run_of(workshop, tmp_path / "run", after)
        assert caught.value.code == code
    assert not (tmp_path / "run").exists()


def test_another_vocabulary_is_refused(workshop: Any, first: Path, tmp_path: Path) -> None:
    lines = (first / "trim/vocab.txt").read_text("utf-8").splitlines()
    other = shutil.copytree(first, tmp_path / "other")
    for tokens, said in (([*lines[:-1], "𠀀"], "knows the word '𠀀'"), (lines[:-1], r"data\.vocabulary differs")):
        (other / "trim/vocab.txt").write_text("\n".join(tokens) + "\n", "utf-8")
        with pytest.raises(RefusedError, match=said) as caught:
            run_steps(run_of(workshop, tmp_path / f"run{len(tokens)}", other), ["trim", "prepare"])
        assert caught.value.code == "train.after"


def test_the_command_line_takes_an_earlier_run(workshop: Any, first: Path, tmp_path: Path) -> None:
    command = [str(first.with_suffix(".toml")), "--data", str(workshop.config.parent)]
    command += ["--corpora", str(workshop.corpora), "--teacher", str(workshop.teacher)]
    command += ["--run", str(tmp_path / "run"), "--after"]
    shutil.copy(workshop.config.parent / "vocab.txt", first.parent)
    result = CliRunner().invoke(app, [*command, str(first), "--steps", "trim,prepare,teacher"])
    assert result.exit_code == 0, result.output
    assert json.loads((tmp_path / "run/teacher/facts.json").read_text("utf-8"))["taken_over"] is True
    refused = CliRunner().invoke(app, [*command, str(tmp_path), "--resume"]).exception
    assert isinstance(refused, RefusedError)
    assert refused.code == "train.folder"


def test_a_student_may_keep_half_of_what_it_began_with(
    workshop: Any, first: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    half = {**FURTHER, "half": ("alpha = 0.0", "alpha = 0.0\nstart_share = 0.5")}
    run = run_of(workshop, tmp_path / "run", first, **half)
    with monkeypatch.context() as patched:
        patched.setattr("headway_trainer.steps.train._student_scores", _stopped)
        with pytest.raises(KeyboardInterrupt):
            run_steps(run, LEARNT)
    stopped = weights(tmp_path / "run", "distil-task")
    facts = run_steps(run_of(workshop, tmp_path / "run", first, **half), LEARNT)["distil-task"]
    began, ended = weights(tmp_path / "run", "distil-general"), weights(tmp_path / "run", "distil-task")
    held = checkpoint.load(tmp_path / "run/distil-task/trained.pt")
    assert held is not None
    trained = held["model"]
    assert any(not torch.equal(began[name], trained[name]) for name in began)
    for name, value in ended.items():
        torch.testing.assert_close(value, (began[name] + trained[name]) / 2, msg=name)
        assert torch.equal(value, stopped[name]), "stopped before it could say what it did, it does not go back twice"
    assert 0 < facts["with_its_start"] <= 1


def _stopped(*_: object) -> None:
    raise KeyboardInterrupt


@pytest.mark.parametrize("split", ["dev", "test"])
def test_rows_that_may_have_been_learnt_are_not_measured_on(
    workshop: Any, first: Path, tmp_path: Path, split: str
) -> None:
    rows = (workshop.config.parent / f"{split}.tsv").read_text("utf-8").splitlines()
    (workshop.config.parent / "fewer.tsv").write_text("\n".join(rows[:-1]) + "\n", "utf-8")
    run = run_of(workshop, tmp_path / "run", first, measured=(f'{split} = "{split}.tsv"', f'{split} = "fewer.tsv"'))
    with pytest.raises(RefusedError, match=f"the file of {split} is another") as caught:
        run_steps(run, ["trim", "prepare"])
    assert caught.value.code == "train.after"


def test_a_student_begins_as_one_thing(workshop: Any, first: Path, tmp_path: Path) -> None:
    run = run_of(workshop, tmp_path / "run", first)
    both = Run(run.config, replace(run.places, student=str(workshop.teacher)))
    with pytest.raises(RefusedError, match="as an earlier run's and as a checkpoint") as caught:
        run_steps(both, ["trim", "prepare"])
    assert caught.value.code == "train.student"


@pytest.mark.parametrize(
    ("part", "changed", "named"),
    [
        ("student", {"layers": 3}, "student.layers"),
        ("student", {"max_length": 20}, "student.max_length"),
        ("student", {"pooling": "both"}, "student.pooling"),
        ("teacher", {"layers": 1}, "teacher.layers"),
        ("trim", {"min_count": 2}, "trim"),
        ("data", {"labels": ["music", "film", "travel"]}, "data.sets"),
        ("student", {"dropout": 0.3, "seed": 5}, None),
        ("task", {"epochs": 9}, None),
        ("data", {"title": "others"}, None),
    ],
)
def test_only_what_weights_depend_on_must_be_equal(workshop: Any, part: str, changed: Any, named: str | None) -> None:
    document = tomllib.loads(workshop.config.read_text("utf-8"))
    config = from_document(document)
    other = from_document({**document, part: {**document.get(part, {}), **changed}})
    found = differences(config, other)
    assert found == differences(other, config)
    assert [entry.split(" ")[0] for entry in found] == ([named] if named else [])


@pytest.mark.parametrize(
    ("old", "new"),
    [("seed = 3", "seed = 4"), ("max_dev_rows = 12", "max_dev_rows = 13"), ("max_dev_rows = 12\n", "")],
)
def test_dev_rows_that_were_not_taken_may_have_been_learnt(old: str, new: str) -> None:
    text = config_text()
    assert old in text
    earlier, other = (from_document(tomllib.loads(of)) for of in (text, text.replace(old, new, 1)))
    assert [entry.split(" ")[0] for entry in differences(earlier, other)] == ["seed"]
    whole = from_document(tomllib.loads(text.replace("max_dev_rows = 12\n", "")))
    assert differences(whole, replace(whole, seed=4)) == [], "where dev is taken whole nothing of it was learnt"
