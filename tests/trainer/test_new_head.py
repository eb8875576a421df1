"""A head for a base that exists: from the bundled base and a few rows of another task, published like any other."""

from __future__ import annotations

import json
import lzma
from pathlib import Path

import pytest
from typer.testing import CliRunner

pytest.importorskip("torch", reason="training needs the extra trainer")
pytest.importorskip("coremltools", reason="exporting needs the extra sim")

from headway.contract.errors import RefusedError
from headway.coreml.proof import prove
from headway_trainer.cli import app

from .conftest import DATA, ROOT

BASE = ROOT / "ios_fixtures/models/base"
ROWS = {"train": 90, "dev": 30, "test": 40}


@pytest.fixture(scope="module")
def films(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Another task on utterances of the base's kind: is this about a film?"""
    folder = tmp_path_factory.mktemp("films")
    for split, rows in ROWS.items():
        lines = lzma.decompress((DATA / f"{split}.tsv.xz").read_bytes()).decode().strip().split("\n")[1:]
        chosen = [lines[len(lines) * row // rows].split("\t") for row in range(rows)]
        content = "".join(f"{'film' if topic == 'film' else 'other'}\t{text}\n" for topic, _, text in chosen)
        (folder / f"{split}.tsv").write_text(f"label\ttext\n{content}", "utf-8")
    return folder


def command(*words: object) -> list[str]:
    return ["head", *map(str, words)]


@pytest.fixture(scope="module")
def made(films: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("heads") / "films-1"
    found = CliRunner().invoke(app, command(BASE, films, "--out", out, "--licence", "Apache-2.0"))
    assert found.exit_code == 0, found.output
    return out


def test_it_is_proved_on_its_base_like_any_other_head(made: Path) -> None:
    assert {path.name for path in made.iterdir()} == {"head.mlmodel", "labels.json", "golden.safetensors", "card.json"}
    labels = json.loads((made / "labels.json").read_text("utf-8"))
    proof = prove(BASE / "base.mlpackage", made / "head.mlmodel", made / "golden.safetensors", labels)
    assert proof.rows == ROWS["dev"]
    assert (proof.agreement_permyriad, proof.feature_deviation_micro) == (10_000, 0)


def test_its_card_says_what_it_was_fitted_on_and_how_well_it_does(made: Path) -> None:
    card = json.loads((made / "card.json").read_text("utf-8"))
    contract = json.loads((BASE / "card.json").read_text("utf-8"))["contract"]
    assert (card["head"], card["base_id"], card["contract"]) == ("films-1", "kdconv-mobilebert", contract)
    assert {name: split["rows"] for name, split in card["data"]["splits"].items()} == ROWS
    assert card["fitted_on"].endswith("rows of train and dev, after the choice on dev")
    test = card["figures"]["test"]
    assert test["rows"] == ROWS["test"]
    assert sum(map(sum, card["figures"]["confusion_test"])) == ROWS["test"]
    commonest = max(card["data"]["splits"]["test"]["labels"].values())
    assert test["correct"] > commonest, "it learnt more than the commonest answer"


def test_the_same_rows_give_the_same_head_and_fewer_another(made: Path, films: Path, tmp_path: Path) -> None:
    for name, more in (("again", ()), ("fewer", ("--rows", 40, "--no-refit", "--hidden", 8))):
        found = CliRunner().invoke(app, command(BASE, films, "-o", tmp_path / name, "--name", "films-1", *more))
        assert found.exit_code == 0, found.output
    assert (tmp_path / "again/head.mlmodel").read_bytes() == (made / "head.mlmodel").read_bytes()
    card = json.loads((tmp_path / "fewer/card.json").read_text("utf-8"))
    assert card["layers"] == [8, 2]
    assert card["fitted_on"].endswith("rows of train (40 of 90, by chance)")


def refusal(*words: object) -> RefusedError:
    found = CliRunner().invoke(app, command(*words))
    assert isinstance(found.exception, RefusedError), found.output
    return found.exception


def test_what_cannot_be_used_is_refused_and_nothing_is_left(made: Path, films: Path, tmp_path: Path) -> None:
    out = tmp_path / "heads/new"
    assert refusal(BASE, films, "--out", made).code == "train.head"
    assert refusal(films, films, "--out", out).code == "train.base"
    assert refusal(BASE, tmp_path, "--out", out).code == "train.corpus"
    one = tmp_path / "one"
    one.mkdir()
    for split in ROWS:
        (one / f"{split}.tsv").write_text("label\ttext\nyes\t好的\n", "utf-8")
    assert refusal(BASE, one, "--out", out).code == "train.labels"
    assert not out.parent.exists()
