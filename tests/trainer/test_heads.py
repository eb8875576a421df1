"""Fitting heads: dev chooses, a refit goes on with its choice over both splits, and the dev figure stays honest."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

pytest.importorskip("torch", reason="training needs the extra trainer")

from scipy.special import softmax

from headway_trainer import dense
from headway_trainer.calibration import calibration_error
from headway_trainer.heads import FittedHead, HeadConfig, Rows, fit_head

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
    assert refitted.temperature == plain.temperature, "what was fitted on dev says nothing of rows outside it any more"
    alone = fit_head(HeadConfig("h", hidden, (plain.weight_decay,), epochs=6), both, DEV, CLASSES)
    last = f"dense_{len(hidden)}.weights"
    np.testing.assert_allclose(
        alone.weights[last] * alone.temperature, refitted.weights[last] * refitted.temperature, rtol=1e-5
    )


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
    assert fitted.lexicon_weight is not None
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


@pytest.mark.parametrize("hidden", [(), (8,)])
def test_a_head_is_as_often_right_as_it_says(hidden: tuple[int, ...]) -> None:
    few, many = rows(60, 1), rows(2000, 5)
    fitted = fit_head(HeadConfig("h", hidden, (1e-6,), epochs=300, fit_learning_rate=0.01), few, rows(400, 2), CLASSES)
    assert fitted.temperature > 1.2, "sixty rows are learnt by heart"
    said = dense.logits(fitted.weights, many.features)
    before = softmax(said * fitted.temperature, axis=1)
    after = softmax(said, axis=1)
    assert calibration_error(after, many.labels) < 0.6 * calibration_error(before, many.labels)
    assert (after.argmax(1) == before.argmax(1)).all(), "a temperature changes no answer"


def test_heads_beside_a_lexicon_are_calibrated_together() -> None:
    train, dev, test = (
        beside_a_lexicon(of, surer, seed)
        for of, surer, seed in ((TRAIN, 9.0, 3), (rows(600, 2), 1.0, 4), (rows(2000, 5), 1.0, 6))
    )
    fitted = fit_head(ONCE, train, dev, CLASSES)
    said = softmax(dense.logits(fitted.weights, test.features), axis=1)
    assert calibration_error(said, test.labels) < 0.05
