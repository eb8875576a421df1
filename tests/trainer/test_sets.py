"""Several labelled sets on one frozen base: batches of one set each, a head per set, a set that nothing learns from."""

from __future__ import annotations

import copy
import json
from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

torch = pytest.importorskip("torch", reason="training needs the extra trainer")
pytest.importorskip("transformers", reason="training needs the extra trainer")
pytest.importorskip("coremltools", reason="exporting needs the extra sim")

from headway.contract.errors import RefusedError
from headway_trainer.config import read_config
from headway_trainer.data.batches import epoch_batches
from headway_trainer.data.examples import UNLABELLED, Examples
from headway_trainer.data.mixing import Mixture
from headway_trainer.data.sets import SetConfig, read_sets
from headway_trainer.learning.answers import ask
from headway_trainer.learning.distil_task import TaskConfig, label_loss, soft_loss
from headway_trainer.pipeline import run_steps
from headway_trainer.run import Places, Run
from headway_trainer.steps.train import task_inputs

from .conftest import CONFIG

SETS = """
[data]
vocabulary = "vocab.txt"
sampling_temperature = 2.0

[[data.sets]]
name = "topic"
labels = ["film", "music", "travel"]
train = "train.tsv"
dev = "dev.tsv"
test = "test.tsv"
max_dev_rows = 12
title = "KdConv domains"
licence = "Apache-2.0"

[[data.sets]]
name = "length"
labels = ["long", "short"]
label_column = "kind"
text_column = "words"
train = "length.train.tsv"
dev = "length.dev.tsv"
max_rows = 40
title = "KdConv, long or short"
licence = "Apache-2.0"

[[data.sets]]
name = "parity"
labels = ["even", "odd"]
label_column = "parity"
text_column = "words"
train = "length.train.tsv"
dev = "length.dev.tsv"
test = "length.test.tsv"
held_out = true
title = "KdConv, even or odd length"
licence = "Apache-2.0"

[[data.unlabelled]]"""


PARTS = (
    ("golden_rows = 9", "golden_rows = 9\nhead_rows = 30"),
    ("finetune = { epochs = 2,", "answers = 25\nfinetune = { epochs = 2, round_steps = 3,"),
    ("[task]", "[task]\nround_steps = 5\nhidden_weight = 0.0\nattention_weight = 0.0"),
    ("[qat]", "[qat]\nhidden_weight = 0.0\nattention_weight = 0.0"),
)
"""What a run over large sets saves on: parts of rows, of epochs and of the teacher's answers."""


def config_text() -> str:
    before, rest = CONFIG.split("[data]\n", 1)
    text = before + SETS.lstrip() + rest.split("[[data.unlabelled]]", 1)[1]
    for whole, part in PARTS:
        assert text.count(whole) == 1, whole
        text = text.replace(whole, part)
    return text


@pytest.fixture(scope="module")
def shared(workshop: Any, tmp_path_factory: pytest.TempPathFactory) -> tuple[Run, dict[str, Any]]:
    """A whole run over three sets, their files in a folder apart from the configuration."""
    data, folder = tmp_path_factory.mktemp("data"), tmp_path_factory.mktemp("run")
    for split in ("train", "dev", "test"):
        content = (workshop.corpora / f"{split}.tsv").read_text("utf-8")
        (data / f"{split}.tsv").write_text(content, "utf-8")
        texts = [row.split("\t")[2] for row in content.split("\n")[1:] if row]
        rows = [f"{'long' if len(t) > 14 else 'short'}\t{'odd' if len(t) % 2 else 'even'}\t{t}" for t in texts]
        (data / f"length.{split}.tsv").write_text("kind\tparity\twords\n" + "\n".join(rows) + "\n", "utf-8")
    (workshop.corpora / "sets.toml").write_text(config_text(), "utf-8")
    places = Places(workshop.config.parent, folder, str(workshop.teacher), workshop.corpora, data=data)
    run = Run(read_config(workshop.corpora / "sets.toml"), places)
    return run, run_steps(run)


def test_teacher_and_student_have_one_classifier_per_taught_set(shared: tuple[Run, dict[str, Any]]) -> None:
    run, facts = shared
    assert run.new_student().classifier.out_features == 5
    assert [(of.name, of.span) for of in run.sets] == [
        ("topic", slice(0, 3)),
        ("length", slice(3, 5)),
        ("parity", slice(5, 5)),
    ]
    for step in ("teacher", "distil-task", "qat"):
        assert set(facts[step]["test"]["sets"]) == {"topic", "length"}
    assert set(facts["second-opinion"]["sets"]) == {"topic", "length"}


def test_every_set_has_its_heads_and_figures(shared: tuple[Run, dict[str, Any]]) -> None:
    run, facts = shared
    found = facts["evaluate"]["heads"]
    assert list(found) == [f"{name}-topic-{n}" for name in ("topic", "length", "parity") for n in (1, 2)]
    assert found["parity-topic-1"]["held_out"]
    assert not found["topic-topic-1"]["held_out"]
    assert found["length-topic-1"]["test_is_dev"]
    rows = facts["prepare"]["sets"]
    assert rows["length"]["splits"]["train"]["rows"] == 40, "max_rows"
    assert found["parity-topic-2"]["test"]["rows"] == rows["parity"]["splits"]["test"]["rows"]
    labels = json.loads((run.folder("release") / "heads/length-topic-1/labels.json").read_text("utf-8"))
    assert labels == ["long", "short"]


def test_parts_of_rows_answers_and_epochs_are_taken_as_configured(shared: tuple[Run, dict[str, Any]]) -> None:
    run, facts = shared
    rows = facts["prepare"]["sets"]["topic"]["splits"]
    assert rows["dev"]["rows"] == 12
    assert rows["test"]["rows"] > 12, "test is always whole"
    # 25 of each set's labelled rows, and every piece of them: those have no label of their own.
    assert facts["distil-task"]["rows"] - facts["distil-task"]["answered"] == rows["train"]["rows"] - 25 + 40 - 25
    assert len(facts["teacher"]["curve"]) == 2 * 3
    assert len(facts["distil-task"]["curve"]) == 2 * 5
    card = json.loads((run.folder("release") / "heads/topic-topic-1/card.json").read_text("utf-8"))
    assert f"train (30 of {rows['train']['rows']}, by chance)" in card["fitted_on"]


def test_a_teacher_that_nobody_listens_to_is_not_asked(shared: tuple[Run, dict[str, Any]]) -> None:
    run = copy.copy(shared[0])
    silent = {step: replace(getattr(run.config, step), alpha=0.0) for step in ("task", "qat")}
    run.config = replace(run.config, task=silent["task"])
    assert task_inputs(run, run.config.task).answered > 0, "int8 training listens"
    run.config = replace(run.config, **silent)
    assert task_inputs(run, run.config.task).answered == 0
    nothing = ask(run.tuned_teacher(), [[2, 5, 3]] * 4, 0, 1, 1, False, asked=[])
    assert bool(nothing.logits.isnan().all())


def test_states_cannot_be_matched_with_part_of_the_answers(workshop: Any) -> None:
    path = workshop.corpora / "both.toml"
    path.write_text(config_text().replace("hidden_weight = 0.0", "hidden_weight = 0.1", 1), "utf-8")
    with pytest.raises(RefusedError, match="every row") as caught:
        read_config(path)
    assert caught.value.code == "train.config"


def test_a_row_without_an_answer_teaches_by_its_label_alone() -> None:
    found = torch.tensor([[2.0, 0.0], [0.5, 1.0], [0.0, 3.0]])
    told = torch.tensor([[3.0, 1.0], [torch.nan, torch.nan], [0.0, 2.0]])
    labels = torch.tensor([0, 1, UNLABELLED])
    config = TaskConfig(alpha=0.4, temperature=2.0)
    soft, hard = soft_loss(found[[0, 2]], told[[0, 2]], 2.0), torch.nn.functional.cross_entropy
    expected = 0.4 * soft * 2 / 3 + (0.6 * hard(found[:1], labels[:1]) + hard(found[1:2], labels[1:2])) / 2
    assert torch.allclose(label_loss(found, told, labels, config), expected)


def test_what_one_set_measures_on_teaches_no_other(tmp_path: Path) -> None:
    def lines(name: str, *texts: str) -> str:
        rows = [f"{'long' if index % 2 else 'short'}\t{text}" for index, text in enumerate(texts)]
        (tmp_path / name).write_text("\n".join(["label\ttext", *rows]) + "\n", "utf-8")
        return name

    own = SetConfig("hotels", ("long", "short"), lines("h.train", "甲", "乙"), lines("h.dev", "甲"), "", "")
    texts = ("很 好，AB", "早餐不错", "房间很大就是太吵了一点", "乙", "服务")
    shop = SetConfig("shop", ("long", "short"), lines("s.train", *texts), lines("s.dev", "丙"), "", "")
    more = lines("m.dev", "早餐不错", "很好，ab"), lines("m.test", "房间很大就是太吵了，不过便宜")
    third = SetConfig("more", ("long", "short"), lines("m.train", "服务"), more[0], "", "", test=more[1])
    hotels, shops, _ = read_sets((own, shop, third), tmp_path, seed=1, longest=8)
    assert hotels.splits["train"].texts == ("甲", "乙"), "what stands in its own dev is told, not left out"
    assert hotels.borrowed == {}
    assert shops.splits["train"].texts == ("乙", "服务"), "the same beginning is the same text"
    assert shops.borrowed == {"more": 3}
    assert len(read_sets((shop,), tmp_path, seed=1, longest=8)[0].splits["train"].texts) == 5


def test_dev_rows_that_choose_nothing_may_teach(tmp_path: Path) -> None:
    for name, texts in (
        ("train", "甲乙"),
        ("dev", "丙丁戊己庚"),
        ("test", "辛"),
        ("other", "丙丁戊"),
        ("o.train", "壬"),
    ):
        rows = [f"{'long' if place % 2 else 'short'}\t{text}" for place, text in enumerate(texts)]
        (tmp_path / name).write_text("\n".join(["label\ttext", *rows]) + "\n", "utf-8")
    kinds = ("long", "short")
    config = SetConfig("hotels", kinds, "train", "dev", "", "", test="test", max_dev_rows=2)
    (plain,) = read_sets((config,), tmp_path, seed=1, longest=8)
    learning = replace(config, learn_rest_of_dev=True)
    (found,) = read_sets((learning,), tmp_path, seed=1, longest=8)
    assert found.splits["dev"] == plain.splits["dev"]
    train, dev = (found.splits[split].texts for split in ("train", "dev"))
    assert sorted((*train, *dev)) == sorted("甲乙丙丁戊己庚")
    assert len(dev) == 2
    assert found.splits["train"].digest != plain.splits["train"].digest
    other = SetConfig("shop", kinds, "o.train", "dev", "", "", test="other")
    beside, _ = read_sets((learning, other), tmp_path, seed=1, longest=8)
    assert beside.splits["train"].texts == ("甲", "乙"), "the other set measures on all of its dev"


def test_dev_rows_are_spent_once_they_have_chosen(tmp_path: Path) -> None:
    for name, texts in (("train", "甲"), ("dev", "丙丁戊"), ("test", "辛"), ("other", "丁"), ("o.train", "壬")):
        (tmp_path / name).write_text("\n".join(["label\ttext", *(f"long\t{t}" for t in texts)]) + "\n", "utf-8")
    kinds = ("long", "short")
    config = SetConfig("hotels", kinds, "train", "dev", "", "", test="test")
    other = SetConfig("shop", kinds, "o.train", "other", "", "")
    found, measured_on_dev = read_sets((config, other), tmp_path, seed=1, longest=8)
    assert found.spent.texts == ("丙", "戊"), "what the other set measures on is not among them"
    assert measured_on_dev.spent.texts == ()


def test_training_rows_of_several_files_are_one_split(tmp_path: Path) -> None:
    for name, label, text in (("one", "short", "甲"), ("two", "long", "乙"), ("dev", "long", "丙")):
        (tmp_path / name).write_text(f"label\ttext\n{label}\t{text}\n", "utf-8")
    config = SetConfig("hotels", ("long", "short"), "one", "dev", "", "", more=("two",))
    (both,) = read_sets((config,), tmp_path, seed=1, longest=8)
    (alone,) = read_sets((replace(config, more=()),), tmp_path, seed=1, longest=8)
    train = both.splits["train"]
    assert (train.texts, train.labels) == (("甲", "乙"), ("short", "long"))
    assert train.digest != alone.splits["train"].digest
    (tmp_path / "two").write_text("label\ttext\nlong\t丁\n", "utf-8")
    (changed,) = read_sets((config,), tmp_path, seed=1, longest=8)
    assert changed.splits["train"].digest != train.digest, "a change in any file is a change"


def test_the_gate_judges_every_taught_set(shared: tuple[Run, dict[str, Any]]) -> None:
    metrics = Counter(line["metric"] for line in shared[1]["gate"]["lines"])
    assert metrics["accuracy, topic"] == metrics["below teacher, length"] == metrics["size"] == metrics["cpu"] == 1
    assert "accuracy, parity" not in metrics


def test_notice_and_cards_name_every_set(shared: tuple[Run, dict[str, Any]]) -> None:
    release = shared[0].folder("release")
    notice = (release / "NOTICE.md").read_text("utf-8")
    assert "KdConv domains, train" in notice
    assert "KdConv, even or odd length, dev" in notice
    card = json.loads((release / "heads/parity-topic-1/card.json").read_text("utf-8"))
    assert card["data"]["held_out"]
    assert card["labels"] == ["even", "odd"]
    labels = {json.loads(line)["label"] for line in (release / "base/golden.jsonl").read_text("utf-8").splitlines()}
    assert {"film", "long", "odd"} <= labels


def examples(rows: int) -> Examples:
    return Examples([[1] * (2 + row % 7) for row in range(rows)], [0] * rows)


def test_one_set_is_its_plain_epochs() -> None:
    rows = examples(45)
    expected = [epoch_batches(rows.lengths, 4, 9, epoch) for epoch in range(3)]
    assert Mixture.of([(rows, slice(0, 2))], 3.0).rounds(4, 3, seed=9) == expected


@pytest.mark.parametrize(("temperature", "share"), [(1.0, 0.1), (1000.0, 0.5)])
def test_temperature_evens_the_sets_out(temperature: float, share: float) -> None:
    mixture = Mixture.of([(examples(900), slice(0, 2)), (examples(100), slice(2, 4))], temperature)
    rounds = mixture.rounds(10, 10, seed=1)
    batches = [rows for epoch in rounds for rows in epoch]
    assert [len(epoch) for epoch in rounds] == [100] * 10
    assert all(len({mixture.sets[row] for row in rows}) == 1 for rows in batches), "a batch is of one set"
    small = sum(mixture.span(rows) == slice(2, 4) for rows in batches)
    assert small / len(batches) == pytest.approx(share, abs=0.03)
    seen = Counter(row for rows in batches for row in rows if mixture.sets[row] == 1)
    assert len(seen) == 100
    assert max(seen.values()) - min(seen.values()) <= 1, "a set starts over only when it is used up"


def test_a_set_of_more_weight_is_asked_more_often() -> None:
    parts = [(examples(400), slice(0, 2)), (examples(400), slice(2, 4))]
    (batches,) = Mixture.of(parts, 1.0, [3.0, 1.0]).rounds(10, 1, seed=1, round_steps=2000)
    assert sum(rows[0] < 400 for rows in batches) / 2000 == pytest.approx(0.75, abs=0.03)


@pytest.mark.parametrize(
    ("old", "new", "why"),
    [
        ('name = "length"', 'name = "topic"', "two sets have one name"),
        ('name = "length"', 'name = "Length!"', "set name"),
        ('labels = ["long", "short"]', 'labels = ["long"]', "two labels"),
        ("sampling_temperature = 2.0", "sampling_temperature = 0.5", "1 or more"),
        ("max_rows = 40", "weight = 0", "more than 0"),
        ("sampling_temperature = 2.0", 'train = "train.tsv"', "belongs into the sets"),
        ("max_rows = 40", "max_dev_rows = 9\nlearn_rest_of_dev = true", "a test of its own"),
        ("max_dev_rows = 12", "learn_rest_of_dev = true", "max_dev_rows"),
    ],
)
def test_sets_that_cannot_be_are_named(tmp_path: Path, old: str, new: str, why: str) -> None:
    path = tmp_path / "run.toml"
    path.write_text(config_text().replace(old, new, 1), "utf-8")
    with pytest.raises(RefusedError, match=why):
        read_config(path)


def test_a_single_set_needs_its_keys(tmp_path: Path) -> None:
    path = tmp_path / "run.toml"
    path.write_text(CONFIG.replace('train = "train.tsv"\n', ""), "utf-8")
    with pytest.raises(RefusedError, match="data: train"):
        read_config(path)
