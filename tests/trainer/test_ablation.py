"""What each part brings: variants, the steps they share, what a difference is worth, and a study in tiny geometry."""

from __future__ import annotations

import json
import math
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from typer.testing import CliRunner

pytest.importorskip("torch", reason="training needs the extra trainer")
pytest.importorskip("transformers", reason="training needs the extra trainer")
pytest.importorskip("coremltools", reason="exporting needs the extra sim")

from headway.contract.errors import RefusedError
from headway_trainer.ablation.answering import UNTIL, Answered
from headway_trainer.ablation.paired import clopper_pearson, difference
from headway_trainer.ablation.study import Study
from headway_trainer.ablation.table import Outcome, document, markdown
from headway_trainer.ablation.variants import Variant, chosen, read_variants, shipped, varied
from headway_trainer.cli import app
from headway_trainer.config import RunConfig, read_config
from headway_trainer.evaluate import Accuracy
from headway_trainer.export.size import estimated
from headway_trainer.half import HalfConfig
from headway_trainer.models.student import StudentConfig
from headway_trainer.pipeline import run_steps
from headway_trainer.report.facts import read_run
from headway_trainer.report.page import render
from headway_trainer.run import Places, Run


def rights(*marks: str) -> list[np.ndarray]:
    return [np.array([mark == "1" for mark in row]) for row in marks]


def test_the_exact_interval_is_the_textbooks() -> None:
    assert clopper_pearson(0, 10) == pytest.approx((0.0, 0.3085), abs=1e-4)
    assert clopper_pearson(8, 10) == pytest.approx((0.4439, 0.9748), abs=1e-4)
    assert clopper_pearson(10, 10) == pytest.approx((0.6915, 1.0), abs=1e-4)


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 60), st.integers(0, 60))
def test_a_difference_is_told_apart_exactly_where_mcnemar_rejects(won: int, lost: int) -> None:
    parent = np.array([False] * won + [True] * lost + [True] * 30)
    variant = np.array([True] * won + [False] * lost + [True] * 30)
    found = difference([parent], [variant])
    tail = sum(math.comb(won + lost, k) for k in range(min(won, lost) + 1)) / 2 ** (won + lost)
    assert (found.verdict != "not distinguishable") == (2 * tail < 0.05)
    assert found.low <= found.value <= found.high
    assert found.value == pytest.approx((won - lost) / len(parent))


def test_equal_answers_are_not_distinguishable() -> None:
    found = difference(rights("1101"), rights("1101"))
    assert (found.value, found.low, found.high, found.verdict) == (0.0, 0.0, 0.0, "not distinguishable")
    with pytest.raises(ValueError, match="belong"):
        difference(rights("110"), rights("1101"))


def test_several_seeds_widen_the_interval_where_they_disagree() -> None:
    rng = np.random.default_rng(1)
    parent = rng.random(400) < 0.8
    steady = parent | (np.arange(400) % 4 == 0)
    lucky = parent | (np.arange(400) % 3 == 0)
    unlucky = parent & (np.arange(400) % 5 != 0)
    same = difference([parent, parent, parent], [steady, steady, steady])
    mixed = difference([parent, parent, parent], [lucky, steady, unlucky])
    assert same.seeds == 3
    assert same.verdict == "better"
    assert mixed.high - mixed.low > 2 * (same.high - same.low)
    assert mixed.verdict == "not distinguishable"
    assert difference([parent] * 3, [steady] * 3) == same, "the draws are the same every time"


@pytest.fixture
def config(workshop: Any) -> RunConfig:
    return read_config(workshop.config)


def test_shipped_variants_that_change_something_are_chosen(config: RunConfig) -> None:
    names = [one.name for one in chosen(config, (), {})]
    assert {"no-general", "no-hidden", "no-attention", "temperature-1", "rounded", "layer-1", "no-lexicon"} <= {*names}
    assert "temperature-2" not in names, "the run has it already"
    assert "pooling-mean" not in names
    by_name = {one.name: one for one in chosen(config, (), {})}
    assert by_name["rounded"].first == "qat"
    assert by_name["no-lexicon"].first == "lexicon"
    assert by_name["labels-alone"].first == "distil-task"
    half = replace(config, half=HalfConfig(rows=4, release=True))
    assert "bits-6" in by_name
    assert "bits-6" not in [one.name for one in chosen(half, (), {})], "float16 has no palettes"
    assert by_name["no-general"].changes == {"general.steps": (6, 0)}


@pytest.mark.parametrize(
    ("name", "said"),
    [("temperature-2", "changes nothing that is measured: task.temperature = 2.0"), ("no-luck", "no variant no-luck")],
)
def test_a_variant_that_says_nothing_is_refused(config: RunConfig, name: str, said: str) -> None:
    with pytest.raises(RefusedError, match=said) as caught:
        chosen(config, [name], {})
    assert caught.value.code == "train.variant"
    with pytest.raises(RefusedError, match="comes after"):
        chosen(config, ["no-lexicon"], {}, UNTIL["student"])


def test_own_variants_stand_in_a_file(config: RunConfig, tmp_path: Path) -> None:
    path = tmp_path / "mine.toml"
    path.write_text("[cold]\ntask.temperature = 1\n[cold.qat]\ntemperature = 1.0\n[slow]\ntask.epochs = 3\n", "utf-8")
    own = read_variants(path)
    assert own["cold"] == Variant("cold", {"task.temperature": 1, "qat.temperature": 1.0})
    assert [one.name for one in chosen(config, (), own)] == ["cold", "slow"]
    assert [one.name for one in chosen(config, ["rounded", "slow"], own)] == ["rounded", "slow"]
    for wrong, said in (
        ("x = 1", "no table"),
        ("", "no variant"),
        ("[parent]\nseed = 2", "the run itself"),
        ("[", "cannot be read"),
    ):
        path.write_text(wrong, "utf-8")
        with pytest.raises(RefusedError, match=said):
            read_variants(path)
    with pytest.raises(RefusedError, match=r"variant cold: task: tmperature: no such key"):
        varied(config, Variant("cold", {"task.tmperature": 1.0}))
    with pytest.raises(RefusedError, match="no key"):
        varied(config, Variant("odd", {"seed.of": 1}))


def test_what_is_above_the_pooled_layer_is_not_carried() -> None:
    whole, cut = StudentConfig(layers=3), StudentConfig(layers=3, feature_layer=2)
    assert (whole.pooled_layer, cut.pooled_layer) == (3, 2)
    assert not cut.carries("encoder.layer.2.output.dense")
    assert cut.carries("encoder.layer.1.output.dense")
    assert whole.carries("encoder.layer.2.output.dense")
    assert estimated(cut, 500).package_bytes < estimated(whole, 500).package_bytes
    with pytest.raises(RefusedError, match="student: feature_layer: it must be from 1 to 3"):
        StudentConfig(layers=3, feature_layer=4)


@pytest.mark.parametrize("seeds", ["1,x", "1,1", "-1"])
def test_bad_words_are_refused_before_anything_runs(workshop: Any, tmp_path: Path, seeds: str) -> None:
    (tmp_path / "run").mkdir()
    arguments = ["ablate", str(workshop.config), "--run", str(tmp_path / "run")]
    error = CliRunner().invoke(app, arguments).exception
    assert isinstance(error, RefusedError)
    assert error.code == "train.folder"
    assert "no run folder" in error.message
    (tmp_path / "run/config.json").write_text("{}", "utf-8")
    error = CliRunner().invoke(app, [*arguments, "--seeds", seeds]).exception
    assert isinstance(error, RefusedError)
    assert error.code == "train.variant"


def places_of(workshop: Any, folder: Path) -> Places:
    return Places(workshop.config.parent, folder, str(workshop.teacher), workshop.corpora)


def place(entry: dict[str, Any]) -> int:
    return NAMES.index(entry["name"])


NAMES = ("rounded", "layer-1", "no-lexicon")


@pytest.fixture(scope="module")
def studied(workshop: Any, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, Any]]:
    folder = tmp_path_factory.mktemp("ablation") / "run"
    text = workshop.config.read_text("utf-8")
    path = workshop.config.parent / "one-head.toml"
    path.write_text(text[: text.index('[[heads]]\nname = "topic-2"')].replace("decays = ", "decays = "), "utf-8")
    config = read_config(path)
    run = Run(config, places_of(workshop, folder))
    run_steps(run)
    return folder, Study(config, run.places, chosen(config, NAMES, {})).run()


def test_a_study_ends_in_a_table(studied: tuple[Path, dict[str, Any]]) -> None:
    folder, table = studied
    assert [entry["name"] for entry in table["variants"]] == list(NAMES)
    assert json.loads((folder / "ablation/ablation.json").read_text("utf-8")) == table
    told = (folder / "ablation/ablation.md").read_text("utf-8")
    assert told == markdown(table)
    facts = json.loads((folder / "evaluate/facts.json").read_text("utf-8"))
    assert facts["heads"]["topic-1"]["test"] == table["parent"]["test"], "the released files"
    assert facts["heads"]["topic-1"]["dev"] == table["parent"]["dev"], "as the choice on dev was made"
    parent = Accuracy(table["parent"]["test"]["correct"], 18)
    for entry in table["variants"]:
        apart = entry["difference"]["test"]
        assert apart["points"] == pytest.approx(100 * (entry["test"]["correct"] - parent.correct) / 18, abs=1e-3)
        inside = apart["interval95"][0] <= 0 <= apart["interval95"][1]
        assert (apart["verdict"] == "not distinguishable") == inside
        assert f"| `{entry['name']}` |" in told
        assert entry["bytes"] > 0
        assert entry["seconds"] > 0
    layer = table["variants"][1]
    assert layer["changes"] == {"student.feature_layer": [None, 1]}
    assert layer["bytes"] < table["parent"]["bytes"], "a layer less is exported"
    assert table["variants"][2]["bytes"] < table["parent"]["bytes"], "no table of n-grams"


def test_shared_steps_are_linked_and_own_ones_made(studied: tuple[Path, dict[str, Any]]) -> None:
    folder, _ = studied
    teacher = folder / "teacher/model.pt"
    for name in NAMES:
        assert teacher.samefile(folder / f"ablation/{name}/3/teacher/model.pt"), name
    assert (folder / "qat/model.pt").samefile(folder / "ablation/no-lexicon/3/qat/model.pt")
    assert not (folder / "qat/model.pt").samefile(folder / "ablation/rounded/3/qat/model.pt")
    logits = folder / "distil-task/logits.pt"
    assert same_logits(logits, folder / "ablation/layer-1/3/distil-task/logits.pt")
    qat = json.loads((folder / "ablation/rounded/3/qat/facts.json").read_text("utf-8"))
    assert qat["test"] == qat["rounded_without_training"]["test"]


def same_logits(one: Path, other: Path) -> bool:
    import torch

    first, second = (torch.load(path, weights_only=True)["logits"] for path in (one, other))
    return bool(torch.equal(first, second))


def test_a_study_goes_on_where_it_was_and_follows_its_parent(
    workshop: Any, studied: tuple[Path, dict[str, Any]]
) -> None:
    folder, table = studied
    config = read_config(workshop.config.parent / "one-head.toml")
    facts = {path: path.stat().st_mtime_ns for path in folder.rglob("*/facts.json")}
    again = Study(config, places_of(workshop, folder), chosen(config, NAMES[:2], {})).run()
    assert [entry["name"] for entry in again["variants"]] == ["no-lexicon", "rounded", "layer-1"], "made in parts"
    assert sorted(again["variants"], key=place) == table["variants"]
    made = {path for path, then in facts.items() if path.stat().st_mtime_ns != then}
    assert {path.parent for path in made} <= {folder, *(folder / f"ablation/{name}/3" for name in NAMES)}
    # The parent's lexicon is made anew: who shared it forgets it and what came after.
    held = json.loads((folder / "lexicon/facts.json").read_text("utf-8"))
    (folder / "lexicon/facts.json").unlink()
    (folder / "lexicon/facts.json").write_text(json.dumps({**held, "seconds": 77.0}), "utf-8")
    first = folder / "ablation/no-lexicon/3/lexicon/facts.json"
    from headway_trainer.ablation.sharing import share

    (folder / "ablation/rounded/3/gate").mkdir()
    share(folder, folder / "ablation/no-lexicon/3", "export-base", ())
    assert json.loads(first.read_text("utf-8"))["seconds"] == 77.0
    assert not (folder / "ablation/no-lexicon/3/export-base").exists()


def test_the_report_shows_what_each_part_brings(studied: tuple[Path, dict[str, Any]]) -> None:
    folder, table = studied
    page = render([read_run(folder)])
    assert "What each part brings" in page
    assert "无法区分" in page or all(
        e["difference"]["test"]["verdict"] != "not distinguishable" for e in table["variants"]
    )
    assert "no-lexicon" in page
    drawing = (folder / "ablation/ablation.svg").read_text("utf-8")
    assert drawing.startswith("<svg")
    assert "layer-1" in drawing


def test_a_variant_that_diverges_is_a_finding(workshop: Any, studied: tuple[Path, dict[str, Any]]) -> None:
    folder, _ = studied
    config = read_config(workshop.config.parent / "one-head.toml")
    wild = Variant("wild", {"qat.schedule.learning_rate": 1e30, "qat.schedule.gradient_norm": 1e30, "qat.epochs": 9})
    asked = chosen(config, ["wild", "rounded"], {"wild": wild}, UNTIL["student"])
    table = Study(config, places_of(workshop, folder), asked, by="student").run()
    assert "The loss of qat is" in table["variants"][0]["stopped"]
    assert "difference" in table["variants"][1], "the others go on"
    assert "| stopped: The loss of qat" in markdown(table)
    assert "中止" in render([read_run(folder)])


def test_several_sets_are_told_together_and_apart() -> None:
    def answers(news: str, mood: str, apart: str) -> Answered:
        rows = {"news": news, "mood": mood, "apart": apart}
        return Answered(
            {name: dict.fromkeys(("dev", "test"), rights(told)[0]) for name, told in rows.items()}, ("news", "mood")
        )

    scored = {name: {"correct": 2, "rows": 4} for name in ("news", "mood")}
    facts = {"qat": {"seconds": 1.0, "test": {"sets": scored}}, "export-base": {"seconds": 2.0, "size_bytes": 5}}
    parent = Outcome("parent", {}, None, [answers("1100", "1111", "10")], [facts])
    variant = Outcome("v", {"task.alpha": (0.7, 0.0)}, "distil-task", [answers("1110", "1110", "01")], [facts])
    table = document(parent, [variant], [1], {"head": "topic", "answered_by": "exported"})
    assert table["parent"]["test"]["rows"] == 8, "held-out sets taught nothing, so they stand apart"
    assert table["parent"]["own_classifier_test"]["correct"] == 4
    entry = table["variants"][0]
    assert entry["difference"]["test"]["points"] == 0.0
    assert (entry["difference"]["test"]["won"], entry["difference"]["test"]["lost"]) == (1, 1)
    assert entry["difference_by_set"]["news"]["test"]["points"] == 25.0
    told = markdown(table)
    assert "| test, by set | news | mood | apart |" in told
    assert "`task.alpha 0.7 → 0`" in told


def test_seeds_have_parents_of_their_own(workshop: Any, studied: tuple[Path, dict[str, Any]]) -> None:
    folder, _ = studied
    config = read_config(workshop.config.parent / "one-head.toml")
    table = Study(
        config, places_of(workshop, folder), chosen(config, ["rounded"], {}, UNTIL["student"]), (3, 5), "student"
    ).run()
    assert (table["seeds"], table["answered_by"], table["head"]) == ([3, 5], "student", None)
    qat = json.loads((folder / "ablation/rounded/5/qat/facts.json").read_text("utf-8"))
    assert table["variants"][0]["bytes"] is None, "nothing was exported"
    assert not (folder / "ablation/rounded/5/export-base").exists()
    right = json.loads((folder / "ablation/rounded/5/right-student.json").read_text("utf-8"))
    assert right["sets"][""]["test"].count("1") == qat["test"]["correct"]
    assert "own classifier" in markdown(table)
    assert (folder / "teacher/model.pt").samefile(folder / "ablation/parent/5/teacher/model.pt")
    assert (folder / "ablation/parent/5/distil-task/model.pt").samefile(
        folder / "ablation/rounded/5/distil-task/model.pt"
    )
    models = (folder / f"{where}distil-general/model.pt" for where in ("", "ablation/parent/5/"))
    assert not same_model(*models)
    assert [one["answered_by"] for one in read_run(folder).ablations] == ["student", "exported"]
    assert "own classifier" in render([read_run(folder)])
    entry = table["variants"][0]["difference"]["test"]
    assert entry["seeds"] == 2
    assert entry["method"] == "bootstrap over rows and seeds"


def same_model(one: Path, other: Path) -> bool:
    import torch

    first, second = (torch.load(path, weights_only=True)["model"] for path in (one, other))
    return all(bool(torch.equal(first[name], second[name])) for name in first)


def test_shipped_variants_are_told(config: RunConfig) -> None:
    pages = [Path(__file__).parents[2] / "docs" / name for name in ("training.md", "training.zh.md")]
    for page in pages:
        text = page.read_text("utf-8")
        for name in shipped(config):
            assert f"`{name}`" in text or name.startswith("layer-"), (page.name, name)
