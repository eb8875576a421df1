"""The second opinion: logistic regression over token n-grams, which knows names that an encoder has to learn.

Cross-fitted: a training row is judged by a model that has not seen it or its neighbours (rows of one dialogue stand
together), so its probabilities say how sure one can be, not how well it was learnt by heart. Mixed with the teacher's
logits they make better targets than either; how much better is measured on dev and told in the facts.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression
from torch import Tensor
from torch.nn import functional

from headway_trainer.data.examples import Examples


@dataclass(frozen=True, slots=True)
class NgramConfig:
    """`share` of the targets that the n-grams speak for (0: none), longest n-gram, folds, rows per block of a fold."""

    share: float = 0.0
    longest: int = 3
    folds: int = 4
    block_rows: int = 60
    inverse_penalty: float = 10.0


def cross_fitted(train: Examples, classes: int, config: NgramConfig) -> Tensor:
    """Return log-probabilities float32 [rows, K] of the training rows, each from a model fitted without its block."""
    fold = [row // config.block_rows % config.folds for row in range(len(train.labels))]
    found = torch.empty(len(train.labels), classes)
    for held in range(config.folds):
        rest = [row for row, number in enumerate(fold) if number != held]
        rows = [row for row, number in enumerate(fold) if number == held]
        seen = Examples([train.ids[row] for row in rest], [train.labels[row] for row in rest])
        found[rows] = fitted_on(seen, [train.ids[row] for row in rows], classes, config)
    return found


def fitted_on(train: Examples, ids: Sequence[Sequence[int]], classes: int, config: NgramConfig) -> Tensor:
    """Return log-probabilities float32 [len(ids), K] of a model fitted on all of `train`."""

    def ngrams(row: Sequence[int]) -> list[tuple[int, ...]]:
        sizes = range(1, config.longest + 1)
        return [tuple(row[start : start + size]) for size in sizes for start in range(len(row) - size + 1)]

    weigh = TfidfVectorizer(analyzer=ngrams, sublinear_tf=True)
    model = LogisticRegression(C=config.inverse_penalty, max_iter=60, tol=1e-3)
    model.fit(weigh.fit_transform(train.ids), train.labels)
    smallest = 1e-6
    found = torch.full((len(ids), classes), smallest)
    found[:, model.classes_] = torch.from_numpy(model.predict_proba(weigh.transform(ids))).float().clamp_min(smallest)
    return found.log()


def mixed(teacher_logits: Tensor, ngram_log_probabilities: Tensor, share: float) -> Tensor:
    """Return `(1 − share)·log p_teacher + share·log p_ngram` [rows, K], logits of the joint opinion."""
    return (1 - share) * functional.log_softmax(teacher_logits, dim=1) + share * ngram_log_probabilities
