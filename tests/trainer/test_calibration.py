"""Calibration: the scales that make unseen rows likeliest, and the error that says how far one is from the truth."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

pytest.importorskip("scipy", reason="training needs the extra trainer")

from scipy.special import log_softmax, softmax

from headway_trainer.calibration import calibration_error, scales


def drawn(count: int, classes: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Logits, and labels that are drawn with just their probabilities."""
    random = np.random.default_rng(seed)
    logits = random.normal(scale=2.0, size=(count, classes))
    sums = softmax(logits, axis=1).cumsum(1)
    return logits, (random.random((count, 1)) > sums[:, :-1]).sum(1)


def test_the_temperature_that_was_put_in_is_found() -> None:
    logits, labels = drawn(20_000, 4, 1)
    assert scales([3 * logits], labels)[0] == pytest.approx(1 / 3, rel=0.05)


def test_two_halves_of_the_truth_are_put_together() -> None:
    logits, labels = drawn(20_000, 4, 2)
    half = np.random.default_rng(3).normal(size=logits.shape)
    found = scales([5 * (logits - half), 0.5 * half], labels)
    assert found == pytest.approx((0.2, 2.0), rel=0.05)


def test_a_part_that_is_noise_is_not_believed() -> None:
    logits, labels = drawn(5_000, 3, 4)
    noise = np.random.default_rng(5).normal(size=logits.shape)
    one, none = scales([logits, noise], labels)
    assert one == pytest.approx(1.0, rel=0.1)
    assert none < 0.06


@given(st.integers(0, 10_000), st.integers(2, 5), st.integers(1, 30))
def test_scales_are_finite_and_never_less_likely_than_none(seed: int, classes: int, count: int) -> None:
    random = np.random.default_rng(seed)
    parts = random.normal(scale=3, size=(2, count, classes))
    labels = random.integers(0, classes, count)
    found = np.array(scales(list(parts), labels))
    assert ((found > 0) & (found <= 20)).all()

    def likely(factors: np.ndarray) -> float:
        said = log_softmax(np.tensordot(factors, parts, axes=1), axis=1)
        return float(said[np.arange(count), labels].mean())

    assert likely(found) >= likely(np.ones(2)) - 1e-9


def test_rows_that_are_all_right_ask_for_no_infinite_scale() -> None:
    logits = np.eye(3)
    assert 5 < scales([logits], np.arange(3))[0] <= 20


def test_the_error_counts_how_far_sureness_is_from_being_right() -> None:
    always = np.tile([0.9, 0.1], (10, 1))
    labels = np.array([0] * 6 + [1] * 4)
    assert calibration_error(always, labels) == pytest.approx(0.3)
    assert calibration_error(np.array([[1.0, 0.0]]), np.array([0])) == 0.0
    logits, true = drawn(20_000, 4, 6)
    assert calibration_error(softmax(logits, axis=1), true) < 0.02
