"""Which teachers there are: a folder, a classifier's folder, the id of a hub; and which are refused by name."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

torch = pytest.importorskip("torch", reason="training needs the extra trainer")
transformers = pytest.importorskip("transformers", reason="training needs the extra trainer")

from headway.contract.errors import RefusedError
from headway_trainer.models.student import StudentConfig
from headway_trainer.models.teacher import Teacher
from headway_trainer.models.teacher_check import check_teacher

HUB_ID = "shop/tiny-zh"


def tokens(workshop: Any) -> list[str]:
    return list((workshop.config.parent / "vocab.txt").read_text("utf-8").split("\n")[:-1])


def test_a_classifier_of_another_task_gives_its_encoder(workshop: Any, tmp_path: Path) -> None:
    known = len(tokens(workshop))
    plain = Teacher(workshop.teacher, 3, known, 0.1)
    config = transformers.BertConfig.from_pretrained(workshop.teacher, num_labels=7)
    other = transformers.BertForSequenceClassification(config)
    other.bert.load_state_dict(plain.encoder.state_dict(), strict=False)
    other.save_pretrained(tmp_path / "classifier")
    found = Teacher(tmp_path / "classifier", 3, known, 0.1).encoder.state_dict()
    assert all(torch.equal(value, found[name]) for name, value in plain.encoder.state_dict().items())


def test_a_checkpoint_without_some_of_its_weights_is_named(workshop: Any, tmp_path: Path) -> None:
    encoder = transformers.BertModel.from_pretrained(workshop.teacher, add_pooling_layer=False)
    held = encoder.state_dict()
    del held["encoder.layer.1.output.dense.weight"]
    encoder.save_pretrained(tmp_path / "teacher", state_dict=held)
    with pytest.raises(RefusedError, match=r"holds no encoder\.layer\.1\.output\.dense\.weight") as caught:
        Teacher(tmp_path / "teacher", 3, len(tokens(workshop)), 0.1)
    assert caught.value.code == "train.teacher"


def test_the_first_layers_of_a_deeper_encoder(workshop: Any) -> None:
    known = len(tokens(workshop))
    whole = Teacher(workshop.teacher, 3, known, 0.1)
    first = Teacher(workshop.teacher, 3, known, 0.1, 0.0, layers=1)
    assert len(first.encoder.encoder.layer) == 1
    theirs = whole.encoder.state_dict()
    assert all(torch.equal(value, theirs[name]) for name, value in first.encoder.state_dict().items())
    ids = torch.randint(1, known, (2, 9))
    mask = torch.ones_like(ids)
    states = whole.eval()(ids, mask, details=True).hidden[1]
    torch.testing.assert_close(first.eval()(ids, mask).logits, first.classifier(states.mean(1)))
    first.train()
    assert torch.equal(first.encoder(ids, mask)[0], first.encoder(ids, mask)[0]), "no dropout in its layers"
    whole.train()
    assert not torch.equal(whole.encoder(ids, mask)[0], whole.encoder(ids, mask)[0]), "as the checkpoint has it"


def test_more_layers_than_there_are_is_refused(workshop: Any) -> None:
    with pytest.raises(RefusedError, match=r"has 2 layers and teacher\.layers is 3") as caught:
        check_teacher(str(workshop.teacher), tokens(workshop), StudentConfig(embedding=32, max_length=24), None, 3)
    assert caught.value.code == "train.teacher"


def cached(workshop: Any, folder: Path, vocabulary: list[str]) -> Path:
    """A hub's cache that holds the workshop's teacher under an id, as a download would have left it."""
    revision = "0" * 40
    held = folder / f"models--{HUB_ID.replace('/', '--')}"
    (held / "refs").mkdir(parents=True)
    (held / "refs/main").write_text(revision)
    shutil.copytree(workshop.teacher, held / "snapshots" / revision)
    (held / "snapshots" / revision / "vocab.txt").write_text("\n".join(vocabulary) + "\n", "utf-8")
    return folder


def trained(workshop: Any, cache: Path, run: Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "headway_trainer", str(workshop.config), "--teacher", HUB_ID, "--run", str(run)]
    command += ["--corpora", str(workshop.corpora), "--steps", "trim,prepare,teacher"]
    return subprocess.run(
        command,
        env={**os.environ, "HF_HUB_CACHE": str(cache), "HF_HUB_OFFLINE": "1", "PYTHONPATH": os.pathsep.join(sys.path)},
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )


def test_a_teacher_by_its_id(workshop: Any, tmp_path: Path) -> None:
    done = trained(workshop, cached(workshop, tmp_path / "hub", tokens(workshop)), tmp_path / "run")
    assert done.returncode == 0, done.stderr[-2000:]
    assert (tmp_path / "run/teacher/facts.json").exists()


def test_a_teacher_by_its_id_with_other_tokens_is_refused(workshop: Any, tmp_path: Path) -> None:
    swapped = tokens(workshop)
    swapped[7], swapped[8] = swapped[8], swapped[7]
    done = trained(workshop, cached(workshop, tmp_path / "hub", swapped), tmp_path / "run")
    assert done.returncode != 0
    assert "Token 7 is" in done.stderr
    assert "Traceback" not in done.stderr
    assert not (tmp_path / "run/teacher/facts.json").exists()
