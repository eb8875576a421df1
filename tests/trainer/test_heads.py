"""Fitting heads: dev chooses, a refit goes on with its choice over both splits, and the dev figure stays honest."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

pytest.importorskip("torch", reason="training needs the extra trainer")

from headway_trainer.heads import LEXICON_WEIGHTS, FittedHead, HeadConfig, Rows, fit_head

WIDTH, CLASSES = 12, 3


def rows(count: int, seed: int) -> Rows:
    random = np.random.default_rng(seed)
    labels = random.integers(0, CLASSES, count)
    centres = np.random.default_rng(0).normal(size=(CLASSES, WIDTH))
    features = centres[labels] + random.normal(scale=1.5, size=(count, WIDTH))
    return Rows(features.astype(np.float32), labels.astype(np.int64))


TRAIN, DEV = rows(240, 1), rows(120, 2)
ONCE = HeadConfig("h", weight_decays=(0.01,))


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


def beside_a_lexicon(of: Rows, surer: float, seed: int) -> Rows:
    """Put three columns behind the features: each row's label as a lexicon tells it, and noise."""
    told = np.random.default_rng(seed).normal(size=(len(of.labels), CLASSES))
    told[np.arange(len(of.labels)), of.labels] += surer
    features = np.concatenate([of.features, told.astype(np.float32)], axis=1)
    return Rows(features, of.labels, slice(WIDTH, WIDTH + CLASSES))


def test_a_lexicon_that_knows_the_training_rows_by_heart_is_believed_as_far_as_dev_goes() -> None:
    train, dev, test = (
        beside_a_lexicon(of, surer, 3) for of, surer in ((TRAIN, 9.0), (DEV, 1.0), (rows(2000, 5), 1.0))
    )
    fitted = fit_head(ONCE, train, dev, CLASSES)
    weights = fitted.weights["dense_0.weights"]
    assert fitted.lexicon_weight in LEXICON_WEIGHTS
    np.testing.assert_array_equal(weights[:, WIDTH:], np.float32(fitted.lexicon_weight) * np.eye(CLASSES, dtype="f4"))
    assert np.abs(weights[:, :WIDTH]).max() > 0.1, "the other features are not drowned"

    def right(head: FittedHead) -> float:
        chosen = (test.features @ head.weights["dense_0.weights"].T + head.weights["dense_0.biases"]).argmax(1)
        return float((chosen == test.labels).mean())

    naive = fit_head(ONCE, Rows(train.features, train.labels), Rows(dev.features, dev.labels), CLASSES)
    assert right(fitted) > right(naive) + 0.02


def test_a_refit_keeps_the_lexicons_weight_and_a_hidden_layer_has_none() -> None:
    train, dev = beside_a_lexicon(TRAIN, 4.0, 3), beside_a_lexicon(DEV, 1.0, 4)
    plain, refitted = (fit_head(replace(ONCE, refit=refit), train, dev, CLASSES) for refit in (False, True))
    assert refitted.lexicon_weight == plain.lexicon_weight
    first, second = (fitted.weights["dense_0.weights"][:, WIDTH:] for fitted in (plain, refitted))
    np.testing.assert_array_equal(first, second)
    assert not np.array_equal(plain.weights["dense_0.biases"], refitted.weights["dense_0.biases"])
    assert fit_head(HeadConfig("h", (8,), epochs=1), train, dev, CLASSES).lexicon_weight is None
