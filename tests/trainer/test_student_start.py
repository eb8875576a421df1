"""A student that begins as a checkpoint of MobileBERT or BERT: what it takes, what it drops, what it refuses."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

torch = pytest.importorskip("torch", reason="training needs the extra trainer")
transformers = pytest.importorskip("transformers", reason="training needs the extra trainer")
pytest.importorskip("coremltools", reason="exporting needs the extra sim")

from headway.contract.errors import RefusedError
from headway_trainer.config import read_config
from headway_trainer.learning import checkpoint
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
        ({"heads": 4}, 50, "heads is 2 and the student's is 4"),
        ({"activation": "gelu"}, 50, "activation is relu and the student's is gelu"),
        ({"normalisation": "layer_norm"}, 50, "normalisation is no_norm and the student's is layer_norm"),
        ({}, 60, "has 50 tokens and the vocabulary 60"),
    ],
)
def test_what_does_not_fit_is_refused_by_name(tmp_path: Path, changed: dict[str, Any], tokens: int, said: str) -> None:
    saved(tmp_path / "checkpoint")
    with pytest.raises(RefusedError, match=said) as caught:
        start_from(Student(replace(SHORT, **changed), 3, 50, 0), str(tmp_path / "checkpoint"), tokens, range(50))
    assert caught.value.code == "train.student"


def test_what_is_neither_is_refused(tmp_path: Path) -> None:
    other = tmp_path / "other"
    shape = {"vocab_size": 50, "dim": 32, "hidden_dim": 16, "n_layers": 2, "n_heads": 2}
    transformers.DistilBertModel(transformers.DistilBertConfig(**shape)).save_pretrained(other)
    for source, said in ((other, "of the kind distilbert"), (tmp_path, "cannot read it")):
        with pytest.raises(RefusedError, match=said):
            start_from(Student(SHORT, 3, 50, 0), str(source), 50, range(50))


FULL = StudentConfig(
    layers=1, hidden=48, bottleneck=0, embedding=48, intermediate=64, heads=4, feedforwards=1,
    normalisation="layer_norm", activation="gelu", max_length=24,
)  # fmt: skip
"""The first layer of the workshop's teacher."""


def test_a_student_of_full_width_begins_as_the_first_layers_of_a_bert(workshop: Any, tmp_path: Path) -> None:
    shape = transformers.AutoConfig.from_pretrained(workshop.teacher)
    shape.initializer_range = 0.5  # large beside what keeps a norm from dividing by zero: 1e-5 here, 1e-12 there
    torch.manual_seed(1)
    bert = transformers.BertModel(shape, add_pooling_layer=False).eval()
    bert.save_pretrained(tmp_path)
    tokens = shape.vocab_size
    student = Student(FULL, 3, tokens, 0).eval()
    taken = start_from(student, str(tmp_path), tokens, range(tokens))
    assert taken == sum(parameter.numel() for parameter in student.backbone.parameters())
    ids = torch.randint(1, tokens, (2, 9))
    with torch.no_grad():
        found = student(ids, torch.ones_like(ids)).hidden
        wanted = bert(input_ids=ids, attention_mask=torch.ones_like(ids), output_hidden_states=True).hidden_states
        whole = student.backbone(input_ids=ids, attention_mask=torch.ones_like(ids)).last_hidden_state
    for one, other in zip(found, wanted, strict=False):
        torch.testing.assert_close(one, other, atol=1e-4, rtol=1e-4)
    torch.testing.assert_close(found[-1], whole)


def test_a_bert_has_no_place_in_a_student_with_a_bottleneck(workshop: Any) -> None:
    with pytest.raises(RefusedError, match="the student has a bottleneck"):
        start_from(Student(replace(FULL, bottleneck=16), 3, 50, 0), str(workshop.teacher), 50, range(50))


def full_width(workshop: Any, folder: Path) -> Path:
    text = workshop.config.read_text("utf-8")
    first, last = text.index("[student]"), text.index("[general]")
    shape = (
        "layers = 1\nhidden = 48\nbottleneck = 0\nembedding = 48\nintermediate = 64\nheads = 4\nfeedforwards = 1\n"
        'normalisation = "layer_norm"\nactivation = "gelu"\nmax_length = 24\nbegins_as = "teacher"\n\n'
    )
    path = folder / "run.toml"
    path.write_text(text[:first] + "[student]\n" + shape + text[last:].replace("steps = 6", "steps = 0"), "utf-8")
    return path


def test_a_run_whose_student_begins_as_its_teacher_s_first_layer(workshop: Any, tmp_path: Path) -> None:
    path = full_width(workshop, tmp_path)
    path.write_text(path.read_text("utf-8").replace('begins_as = "teacher"\n', ""), "utf-8")
    folders = (workshop.config.parent, tmp_path / "run", str(workshop.teacher), workshop.corpora)
    facts = run_steps(Run(read_config(path), Places(*folders, student=str(workshop.teacher))))
    exported = facts["export-base"]
    assert exported["int8_matrices_equal_to_qat_in_every_bit"] == facts["qat"]["matrices"] + 1, (
        "and the lexicon's table"
    )
    assert exported["feature_deviation_from_qat"] < 1e-4
    assert exported["label_agreement_with_qat"] == 1.0


def test_a_run_whose_student_begins_as_its_teacher_once_that_is_tuned(workshop: Any, tmp_path: Path) -> None:
    config = read_config(full_width(workshop, tmp_path))
    run = Run(config, Places(workshop.config.parent, tmp_path / "run", str(workshop.teacher), workshop.corpora))
    facts = run_steps(run)["distil-general"]
    student = run.new_student()
    assert facts["weights_of_the_teacher"] == sum(parameter.numel() for parameter in student.backbone.parameters())
    tuned, fresh = run.tuned_teacher().encoder.state_dict(), run.new_teacher().encoder.state_dict()
    held = checkpoint.load(tmp_path / "run/distil-general/model.pt")
    assert held is not None
    name = "encoder.layer.0.output.dense.weight"
    assert torch.equal(held["model"][f"0.backbone.{name}"], tuned[name])
    assert not torch.equal(tuned[name], fresh[name])
    card = json.loads((tmp_path / "run/release/base/card.json").read_text("utf-8"))
    assert "the fine-tuned teacher's first layers" in card["initialisation"]


def test_a_student_begins_as_one_thing(workshop: Any, tmp_path: Path) -> None:
    places = Places(workshop.config.parent, tmp_path / "run", str(workshop.teacher), student=str(workshop.teacher))
    run = Run(read_config(full_width(workshop, tmp_path)), places)
    with pytest.raises(RefusedError, match="as the teacher and as a checkpoint") as caught:
        run.started(run.new_student(), run.new_teacher)
    assert caught.value.code == "train.student"


def test_a_teacher_that_is_no_start_is_refused_before_it_is_tuned(workshop: Any, tmp_path: Path) -> None:
    text = workshop.config.read_text("utf-8").replace("[student]", '[student]\nbegins_as = "teacher"', 1)
    (tmp_path / "run.toml").write_text(text, "utf-8")
    places = Places(workshop.config.parent, tmp_path / "run", str(workshop.teacher), workshop.corpora)
    with pytest.raises(RefusedError, match="heads is 4 and the student's is 2"):
        run_steps(Run(read_config(tmp_path / "run.toml"), places), ["prepare"])


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
