"""The n-gram model: judges rows it has not seen, and is mixed in by its share."""

from __future__ import annotations

import pytest

torch = pytest.importorskip("torch", reason="training needs the extra trainer")
pytest.importorskip("sklearn", reason="training needs the extra trainer")

from headway_trainer.data.examples import Examples
from headway_trainer.models.ngram import NgramConfig, cross_fitted, fitted_on, mixed

CONFIG = NgramConfig(share=0.5, folds=2, block_rows=2)


def test_fitted_model_knows_its_n_grams() -> None:
    train = Examples([[1, 5, 6], [1, 5, 7], [1, 8, 9], [1, 8, 6]], [0, 0, 2, 2])
    found = fitted_on(train, [[5, 7], [8, 9]], classes=3, config=CONFIG)
    assert found.argmax(1).tolist() == [0, 2]
    assert bool((found[:, 1] < -10).all()), "a class without rows is all but impossible"


def test_a_row_is_judged_by_a_model_that_has_not_seen_it() -> None:
    # Row 0 alone holds token 99: its own label must not leak into its judgement.
    ids = [[1, 99], [1, 5], [1, 6], [1, 5], [1, 6], [1, 5], [1, 6], [1, 5]]
    labels = [1, 0, 1, 0, 1, 0, 1, 0]
    with_label = cross_fitted(Examples(ids, labels), 2, CONFIG)
    flipped = cross_fitted(Examples(ids, [0, *labels[1:]]), 2, CONFIG)
    assert torch.equal(with_label[0], flipped[0])


def test_mixing_is_between_its_ends() -> None:
    teacher, second = torch.tensor([[2.0, 0.0]]), torch.tensor([[0.2, 0.8]]).log()
    assert torch.allclose(mixed(teacher, second, 1.0), second)
    assert torch.allclose(mixed(teacher, second, 0.0).softmax(1), teacher.softmax(1))
