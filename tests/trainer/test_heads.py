"""Fitting heads: dev chooses, a refit goes on with its choice over both splits, and the dev figure stays honest."""

from __future__ import annotations

import numpy as np
import pytest

pytest.importorskip("torch", reason="training needs the extra trainer")

from headway_trainer.heads import HeadConfig, Rows, fit_head

WIDTH, CLASSES = 12, 3


def rows(count: int, seed: int) -> Rows:
    random = np.random.default_rng(seed)
    labels = random.integers(0, CLASSES, count)
    centres = np.random.default_rng(0).normal(size=(CLASSES, WIDTH))
    features = centres[labels] + random.normal(scale=1.5, size=(count, WIDTH))
    return Rows(features.astype(np.float32), labels.astype(np.int64))


TRAIN, DEV = rows(240, 1), rows(120, 2)


@pytest.mark.parametrize("hidden", [(), (8,)])
def test_a_refit_keeps_what_dev_chose_and_learns_from_both(hidden: tuple[int, ...]) -> None:
    plain = fit_head(HeadConfig("h", hidden, epochs=6), TRAIN, DEV, CLASSES)
    refitted = fit_head(HeadConfig("h", hidden, epochs=6, refit=True), TRAIN, DEV, CLASSES)
    assert (refitted.weight_decay, refitted.dev_correct) == (plain.weight_decay, plain.dev_correct)
    assert not np.array_equal(plain.weights["dense_0.weights"], refitted.weights["dense_0.weights"])
    both = Rows(np.concatenate([TRAIN.features, DEV.features]), np.concatenate([TRAIN.labels, DEV.labels]))
    alone = fit_head(HeadConfig("h", hidden, (plain.weight_decay,), epochs=6), both, DEV, CLASSES)
    np.testing.assert_array_equal(alone.weights["dense_0.weights"], refitted.weights["dense_0.weights"])


@pytest.mark.parametrize("hidden", [(), (8,)])
def test_equal_rows_give_equal_weights(hidden: tuple[int, ...]) -> None:
    first, second = (fit_head(HeadConfig("h", hidden, epochs=3), TRAIN, DEV, CLASSES) for _ in range(2))
    for name, value in first.weights.items():
        np.testing.assert_array_equal(value, second.weights[name])
