"""The shipped configurations read, and what they say of their weight is so."""

from __future__ import annotations

from dataclasses import replace
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


def test_geometry_and_weight_of_the_paper() -> None:
    path = CONFIGS / "mobilebert-24.toml"
    shape = read_config(path).student
    assert (shape.layers, shape.hidden, shape.bottleneck, shape.feedforwards) == (24, 512, 128, 4)
    weight = estimated(shape, TOKENS)
    told = path.read_text("utf-8")
    assert f"{weight.parameters / 1e6:.1f} million parameters" in told
    assert f"{weight.package_bytes / 1e6:.1f} MB" in told
    small = estimated(replace(shape, layers=18), TOKENS)
    assert f"18 such layers {small.package_bytes / 1e6:.1f} MB" in told


def test_the_encoder_of_small_stays_within_the_gate_at_8_bits() -> None:
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
        assert len(heads) == len(set(heads)) == 9 * len(config.heads)
        Tokenizer.from_vocab(CONFIGS / config.data.vocabulary)


def test_the_estimate_against_the_bundled_base() -> None:
    config = read_config(CONFIGS / "fixture.toml")
    package = ROOT / "ios_fixtures/models/base/base.mlpackage"
    size = sum(path.stat().st_size for path in package.rglob("*") if path.is_file())
    tokens = len(Tokenizer.from_vocab(CONFIGS / config.data.vocabulary).tokens)
    lexicon = (config.lexicon.buckets, len(config.data.labels))
    assert estimated(config.student, tokens, lexicon).package_bytes == pytest.approx(size, rel=0.01)
