"""What a person may give a run that it cannot use: one clear error before an hour is spent, and nothing lost."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("torch", reason="training needs the extra trainer")
transformers = pytest.importorskip("transformers", reason="training needs the extra trainer")
pytest.importorskip("coremltools", reason="exporting needs the extra sim")

from headway.contract.errors import RefusedError
from headway_trainer.config import read_config
from headway_trainer.data.checks import check_splits, overlaps
from headway_trainer.data.corpora import Labelled
from headway_trainer.pipeline import run_steps
from headway_trainer.run import Places, Run

from .test_loop import nearly_full_disk


@pytest.fixture
def desk(workshop: Any, tmp_path: Path) -> Path:
    """A copy of the workshop's folder, to be spoilt."""
    folder = tmp_path / "desk"
    shutil.copytree(workshop.config.parent, folder)
    return folder


def prepare(desk: Path, teacher: Path | str | None = None) -> dict[str, Any]:
    places = Places(desk, desk / "run", str(teacher or desk / "teacher"), desk)
    return run_steps(Run(read_config(desk / "run.toml"), places), ["prepare"])["prepare"]


def refused(desk: Path, teacher: Path | str | None = None) -> RefusedError:
    with pytest.raises(RefusedError) as caught:
        prepare(desk, teacher)
    assert not (desk / "run/prepare/facts.json").exists()
    return caught.value


def edit(desk: Path, name: str, old: str, new: str) -> None:
    path = desk / name
    text = path.read_text("utf-8")
    assert old in text
    path.write_text(text.replace(old, new, 1), "utf-8")


def test_what_is_cut_and_unknown_is_told(desk: Path, capsys: pytest.CaptureFixture[str]) -> None:
    edit(desk, "train.tsv", "\nfilm\t", "\nfilm\tlong\t" + "好" * 50 + "\nfilm\t")
    facts = prepare(desk)
    train = facts["splits"]["train"]
    assert train["cut"] == sum(count > 24 for count in _tokens(desk, "train.tsv"))
    said = capsys.readouterr().out
    assert f"train: {train['rows']} texts, {train['cut']} of them" in said
    assert "cut to 24 tokens" in said


def _tokens(desk: Path, name: str) -> list[int]:
    from headway.contract.tokenizer import Tokenizer

    tokenizer = Tokenizer.from_vocab(desk / "vocab.txt")
    rows = (desk / name).read_text("utf-8").split("\n")[1:]
    return [len(tokenizer.ids(row.split("\t")[2], 4096)) for row in rows if row]


def test_a_text_in_two_splits_is_told(desk: Path, capsys: pytest.CaptureFixture[str]) -> None:
    row = (desk / "test.tsv").read_text("utf-8").split("\n")[1]
    edit(desk, "train.tsv", "\nfilm", f"\n{row}\nfilm")
    assert prepare(desk)["overlaps"]["train in test"] == 1
    assert "1 rows of train stand in test too" in capsys.readouterr().out


def test_dev_that_is_the_test_split_too_is_one_split() -> None:
    train, dev = Labelled("train", ("一", "二"), ("a", "b"), "1"), Labelled("dev", ("一",), ("a",), "2")
    assert overlaps({"train": train, "dev": dev, "test": dev}) == {"train in test": 1}


@pytest.mark.parametrize(
    ("old", "new", "code", "said"),
    [
        ("\nfilm\t", "\n\t", "train.corpus", r"train, line 2: the label or the text is empty|line 2"),
        ("\nfilm\t", "\nopera\t", "train.corpus", "opera"),
    ],
)
def test_rows_that_cannot_be_used(desk: Path, old: str, new: str, code: str, said: str) -> None:
    edit(desk, "train.tsv", old, new)
    error = refused(desk)
    assert error.code == code
    assert any(part in error.message for part in said.split("|"))


def test_an_empty_text_is_named(desk: Path) -> None:
    edit(desk, "dev.tsv", "\nfilm\t", "\nfilm\td\t\u200b\nfilm\t")
    error = refused(desk)
    assert error.code == "train.corpus"
    assert "dev: row 1 holds nothing that the tokenizer can read (1 such row)" in error.message


def test_a_label_without_rows_is_named(desk: Path) -> None:
    rows = (desk / "train.tsv").read_text("utf-8").split("\n")
    (desk / "train.tsv").write_text("\n".join(row for row in rows if not row.startswith("travel")), "utf-8")
    error = refused(desk)
    assert error.code == "train.labels"
    assert "No row of train has the label travel" in error.message


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("epochs = 2, batch", "epochs = 0, batch", "teacher: finetune: epochs"),
        ("steps = 6", "steps = -1", "general: steps"),
    ],
)
def test_training_for_less_than_nothing_is_refused(desk: Path, old: str, new: str, said: str) -> None:
    edit(desk, "run.toml", old, new)
    with pytest.raises(RefusedError, match=said):
        read_config(desk / "run.toml")


def test_one_class_is_refused(desk: Path) -> None:
    edit(desk, "run.toml", 'labels = ["film", "music", "travel"]', 'labels = ["film"]')
    with pytest.raises(RefusedError, match="two labels"):
        read_config(desk / "run.toml")
    with pytest.raises(RefusedError, match="at least two"):
        check_splits({}, ["film"])


@pytest.mark.parametrize(
    ("step", "wrong"),
    [
        ("task", "start_share = 1.0"),
        ("task", "alpha = 1.5"),
        ("qat", "masked = -0.1"),
        ("qat", "average = nan"),
    ],
)
def test_a_share_that_is_none_is_refused(desk: Path, step: str, wrong: str) -> None:
    edit(desk, "run.toml", f"[{step}]\n", f"[{step}]\n{wrong}\n")
    with pytest.raises(RefusedError, match=f"{step}: {wrong.split()[0]}") as caught:
        read_config(desk / "run.toml")
    assert caught.value.code == "train.config"


@pytest.mark.parametrize(
    ("names", "titles", "said"), [(["a", "a"], [], "twice"), (["a", "b"], ["一"], "label_titles has 1")]
)
def test_labels_that_do_not_fit(names: list[str], titles: list[str], said: str) -> None:
    with pytest.raises(RefusedError, match=said):
        check_splits({}, names, titles)


def test_a_missing_file_is_named(desk: Path) -> None:
    (desk / "vocab.txt").unlink()
    error = refused(desk)
    assert error.code == "train.file"
    assert "vocab.txt" in error.message


def test_a_teacher_that_is_none(desk: Path) -> None:
    error = refused(desk, desk)
    assert error.code == "train.teacher"
    assert "holds no teacher" in error.message


def teacher(desk: Path, **shape: int) -> Path:
    config = json.loads((desk / "teacher/config.json").read_text("utf-8"))
    (desk / "teacher/config.json").write_text(json.dumps({**config, **shape}), "utf-8")
    return desk / "teacher"


def test_a_teacher_of_another_vocabulary_size(desk: Path) -> None:
    error = refused(desk, teacher(desk, vocab_size=99))
    assert error.code == "train.teacher"
    assert "has 99 tokens" in error.message


def test_a_teacher_of_other_tokens(desk: Path) -> None:
    tokens = (desk / "vocab.txt").read_text("utf-8").split("\n")
    tokens[7], tokens[8] = tokens[8], tokens[7]
    (desk / "teacher/vocab.txt").write_text("\n".join(tokens), "utf-8")
    error = refused(desk)
    assert error.code == "train.teacher"
    assert "Token 7 is" in error.message


def test_a_teacher_that_reads_less(desk: Path) -> None:
    assert "at most 8 tokens" in refused(desk, teacher(desk, max_position_embeddings=8)).message


def test_a_teacher_that_cannot_guide(desk: Path) -> None:
    error = refused(desk, teacher(desk, num_attention_heads=3))
    assert error.code == "train.geometry"


def test_a_teacher_that_is_narrower_than_the_embeddings(desk: Path) -> None:
    error = refused(desk, teacher(desk, hidden_size=16, num_attention_heads=4))
    assert error.code == "train.geometry"
    assert "16 wide" in error.message


def test_a_disk_that_is_full_while_a_step_writes(desk: Path) -> None:
    with nearly_full_disk(600):
        error = refused(desk)
    assert error.code == "train.disk"
    assert "--resume" in error.hint
    assert prepare(desk)["splits"]["train"]["rows"] == 72
