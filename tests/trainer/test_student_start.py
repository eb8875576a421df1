"""A student that begins as a checkpoint of MobileBERT: what it takes of it, what it drops, what it refuses."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

torch = pytest.importorskip("torch", reason="training needs the extra trainer")
transformers = pytest.importorskip("transformers", reason="training needs the extra trainer")
pytest.importorskip("coremltools", reason="exporting needs the extra sim")

from headway.contract.errors import RefusedError
from headway_trainer import checkpoint
from headway_trainer.config import read_config
from headway_trainer.models.student import PAD_EMBEDDING, Student, StudentConfig
from headway_trainer.models.student_start import start_from
from headway_trainer.pipeline import run_steps
from headway_trainer.run import Places, Run

DEEP = StudentConfig(
    layers=3, hidden=32, bottleneck=16, embedding=8, intermediate=16, heads=2, feedforwards=2, max_length=20
)
SHORT = replace(DEEP, layers=2, max_length=12)


def saved(folder: Path, config: StudentConfig = DEEP, tokens: int = 50) -> Student:
    torch.manual_seed(1)
    student = Student(config, 3, tokens, 0).eval()
    student.backbone.save_pretrained(folder)
    return student


def test_layers_above_long_places_and_other_words_are_dropped(tmp_path: Path) -> None:
    source = saved(tmp_path / "checkpoint")
    kept = [0, *range(10, 50)]
    torch.manual_seed(2)
    student = Student(SHORT, 3, len(kept), 0).eval()
    taken = start_from(student, str(tmp_path / "checkpoint"), 50, kept)
    assert taken == sum(parameter.numel() for parameter in student.backbone.parameters())
    ids = torch.randint(1, len(kept), (2, 9))
    theirs = torch.tensor(kept)[ids]
    with torch.no_grad():
        own, other = student(ids, torch.ones_like(ids)).hidden, source(theirs, torch.ones_like(ids)).hidden
    for found, wanted in zip(own, other, strict=False):
        torch.testing.assert_close(found, wanted)
    assert bool((student.backbone.embeddings.word_embeddings.weight[0] == PAD_EMBEDDING).all())


@pytest.mark.parametrize(
    ("changed", "tokens", "said"),
    [
        ({"hidden": 64}, 50, r"position_embeddings\.weight is \[12, 32\] and the student's is \[12, 64\]"),
        ({"layers": 4}, 50, r"encoder\.layer\.3\..* is not there"),
        ({"max_length": 24}, 50, r"position_embeddings\.weight is \[20, 32\] and the student's is \[24, 32\]"),
        ({}, 60, "has 50 tokens and the vocabulary 60"),
    ],
)
def test_what_does_not_fit_is_refused_by_name(tmp_path: Path, changed: dict[str, Any], tokens: int, said: str) -> None:
    saved(tmp_path / "checkpoint")
    with pytest.raises(RefusedError, match=said) as caught:
        start_from(Student(replace(SHORT, **changed), 3, 50, 0), str(tmp_path / "checkpoint"), tokens, range(50))
    assert caught.value.code == "train.student"


def test_what_is_no_mobilebert_is_refused(tmp_path: Path, workshop: Any) -> None:
    student = Student(SHORT, 3, 50, 0)
    for source, said in ((workshop.teacher, "of the kind bert"), (tmp_path, "cannot read it")):
        with pytest.raises(RefusedError, match=said):
            start_from(student, str(source), 50, range(50))


def run_of(workshop: Any, folder: Path, student: Path) -> Run:
    text = workshop.config.read_text("utf-8").replace("steps = 6", "steps = 0")
    config = folder.with_suffix(".toml")
    config.write_text(text, "utf-8")
    places = Places(workshop.config.parent, folder, str(workshop.teacher), workshop.corpora, student=str(student))
    return Run(read_config(config), places)


def test_a_run_begins_as_its_checkpoint(workshop: Any, tmp_path: Path) -> None:
    fresh = run_of(workshop, tmp_path / "run", tmp_path / "checkpoint")
    config, tokens = fresh.config.student, len(fresh.tokenizer.tokens)
    source = saved(tmp_path / "checkpoint", config, tokens)
    facts = run_steps(fresh, ["prepare", "teacher", "distil-general"])["distil-general"]
    assert facts["weights_of_a_checkpoint"] == sum(parameter.numel() for parameter in source.backbone.parameters())
    assert "embedding_variance_kept" not in facts
    held = checkpoint.load(tmp_path / "run/distil-general/model.pt")
    assert held is not None
    name = "encoder.layer.1.output.dense.weight"
    assert torch.equal(held["model"][f"0.backbone.{name}"], source.backbone.state_dict()[name])


def test_a_checkpoint_that_does_not_fit_is_refused_before_the_teacher_is_tuned(workshop: Any, tmp_path: Path) -> None:
    saved(tmp_path / "checkpoint")
    with pytest.raises(RefusedError) as caught:
        run_steps(run_of(workshop, tmp_path / "run", tmp_path / "checkpoint"), ["prepare"])
    assert caught.value.code == "train.student"
