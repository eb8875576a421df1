"""The shipped configurations read, and what they say of their weight is so."""

from __future__ import annotations

from pathlib import Path

import pytest

pytest.importorskip("torch", reason="training needs the extra trainer")
pytest.importorskip("transformers", reason="training needs the extra trainer")

from headway.contract.tokenizer import Tokenizer
from headway_trainer.config import read_config
from headway_trainer.export.size import estimated

ROOT = Path(__file__).parents[2]
CONFIGS = ROOT / "trainer/configs"
TOKENS = 21128


@pytest.mark.parametrize(
    ("name", "layers", "millions", "megabytes"),
    [("mobilebert-24", 24, 23.2, 24.8), ("mobilebert-small", 18, 18.1, 19.4)],
)
def test_geometry_and_weight(name: str, layers: int, millions: float, megabytes: float) -> None:
    path = CONFIGS / f"{name}.toml"
    config = read_config(path)
    shape = config.student
    assert (shape.layers, shape.hidden, shape.bottleneck, shape.feedforwards) == (layers, 512, 128, 4)
    weight = estimated(shape, TOKENS)
    assert round(weight.parameters / 1e6, 1) == millions
    assert round(weight.package_bytes / 1e6, 1) == megabytes
    told = path.read_text("utf-8")
    assert f"{millions} million parameters" in told
    assert f"{megabytes} MB" in told


def test_small_stays_within_the_gate() -> None:
    config = read_config(CONFIGS / "mobilebert-small.toml")
    assert estimated(config.student, TOKENS).package_bytes < config.gate.size_bytes


def test_nine_sets_with_heads_for_each() -> None:
    for name in ("mobilebert-24", "mobilebert-small"):
        config = read_config(CONFIGS / f"{name}.toml")
        sets = config.data.labelled
        assert len(sets) == 9
        assert sum(len(entry.labels) for entry in sets) == 82
        assert [entry.name for entry in sets if entry.test is None] == ["tnews15"]
        heads = [head.name for entry in sets for head in config.heads_of(entry.name)]
        assert len(heads) == len(set(heads)) == 18
        Tokenizer.from_vocab(CONFIGS / config.data.vocabulary)


def test_the_estimate_against_the_bundled_base() -> None:
    config = read_config(CONFIGS / "fixture.toml")
    package = ROOT / "ios_fixtures/models/base/base.mlpackage"
    size = sum(path.stat().st_size for path in package.rglob("*") if path.is_file())
    tokens = len(Tokenizer.from_vocab(CONFIGS / config.data.vocabulary).tokens)
    lexicon = (config.lexicon.buckets, len(config.data.labels))
    assert estimated(config.student, tokens, lexicon).package_bytes == pytest.approx(size, rel=0.01)
