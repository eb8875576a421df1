"""Fitting the lexicon: per label a linear SVM over hashed n-grams, weighed by what naive Bayes says of each.

An n-gram that one training text alone has teaches nothing about other texts, but its bucket would be noise for every
n-gram that shares it: it is left out. Weighing by the logarithm of how much more often texts of the label have the
bucket (NB-SVM: Wang and Manning, "Baselines and Bigrams", ACL 2012) does better than weighing by rarity.
"""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import count
from math import gcd

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.sparse import csr_matrix
from sklearn.exceptions import ConvergenceWarning
from sklearn.svm import LinearSVC

from headway.contract.errors import RefusedError
from headway_trainer.data.batches import CPU, collate
from headway_trainer.data.examples import Examples, joined
from headway_trainer.models.lexicon import HASHES, MOST_TOKENS, WIDTH, Area, Lexicon, columns, hashed

Float64 = NDArray[np.float64]

_Part = tuple[Float64, Float64]
"""Weights [rows, fold · columns] and bias [labels] of one set."""

UNUSED = 2.0**-20
"""Every weight of a row of which nothing was learnt: next to nothing, but a row of zeros has no int8 scale."""

_SMOOTHING, _ROUNDS, _TOLERANCE = 0.5, 100, 1e-2


@dataclass(frozen=True, slots=True)
class LexiconConfig:
    """`buckets` of all sets together (0: no lexicon); inverse penalties of which each set's dev rows choose one.

    With `refit` the base carries a table that was fitted once more, with the penalties that dev chose, on dev rows too.
    """

    buckets: int = 0
    inverse_penalties: tuple[float, ...] = (0.3, 1.0)
    refit: bool = False


@dataclass(frozen=True, slots=True)
class Lesson:
    """What one set teaches: rows to fit on, rows that choose the penalty, those of them to learn from then, labels."""

    train: Examples
    dev: Examples
    spent: Examples
    labels: int


@dataclass(frozen=True, slots=True)
class Fitted:
    """The lexicon, the inverse penalty chosen for each set and, where asked for, the lexicon that learnt from dev."""

    lexicon: Lexicon
    inverse_penalties: tuple[float, ...]
    refitted: Lexicon | None


@dataclass(frozen=True, slots=True)
class _Counts:
    """How often a text (row) has an n-gram hash (column), and its n-grams in all."""

    found: csr_matrix
    lengths: Float64

    def of_several(self) -> _Counts:
        """Leave out the hashes that one text alone has."""
        kept = self.found.copy()
        shared = np.bincount(kept.indices, minlength=HASHES) > 1
        kept.data[~shared[kept.indices]] = 0
        kept.eliminate_zeros()
        return _Counts(kept, self.lengths)

    def shares(self, rows: int, fold: int) -> csr_matrix:
        """Return how often each text falls into each bucket, over the root of its n-grams: [texts, buckets]."""
        found = self.found
        buckets = found.indices % rows * fold + found.indices % fold
        values = found.data / np.sqrt(np.repeat(self.lengths, np.diff(found.indptr)))
        shares = csr_matrix((values, buckets, found.indptr), shape=(found.shape[0], rows * fold))
        shares.sum_duplicates()
        return shares


def fit(lessons: Sequence[Lesson], tokens: int, config: LexiconConfig) -> Fitted:
    """Return the lexicon of several sets.

    The values of each set's training texts have a standard deviation of 1, like features of an encoder. Every label
    must occur. Raises `RefusedError` (`train.geometry`) for a vocabulary too large for 32-bit hashes.
    """
    if tokens > MOST_TOKENS:
        raise RefusedError(
            "train.geometry",
            f"A lexicon over {tokens} tokens does not fit 32-bit hashes.",
            hint=f"At most {MOST_TOKENS} tokens; a trimmed vocabulary is smaller.",
        )
    counted = [_counted(lesson.train).of_several() for lesson in lessons]
    labels = [lesson.labels for lesson in lessons]
    width = max(WIDTH, *map(columns, labels))
    areas = laid_out([len(np.unique(counts.found.indices)) for counts in counted], labels, config.buckets, width)
    penalties: list[float] = []
    parts: list[_Part] = []
    for lesson, counts, area in zip(lessons, counted, areas, strict=True):
        fold = area.fold(width)
        penalty, part = _chosen(lesson, counts.shares(area.rows, fold), area, fold, config.inverse_penalties)
        penalties.append(penalty)
        parts.append(part)
    made = _assembled(areas, width, parts)
    if not config.refit:
        return Fitted(made, tuple(penalties), None)
    for place, (lesson, area, penalty) in enumerate(zip(lessons, areas, penalties, strict=True)):
        if lesson.spent.ids:
            both = joined(lesson.train, lesson.spent)
            shares = _counted(both).of_several().shares(area.rows, area.fold(width))
            parts[place] = _fitted(shares, np.array(both.labels), area, penalty)
    return Fitted(made, tuple(penalties), _assembled(areas, width, parts))


def _assembled(areas: Sequence[Area], width: int, parts: Sequence[_Part]) -> Lexicon:
    table = np.full((sum(area.rows for area in areas), width), 0.0, dtype=np.float32)
    for area, (weights, _) in zip(areas, parts, strict=True):
        table[area.first_row : area.first_row + area.rows, : weights.shape[1]] = weights
    table[np.abs(table).max(axis=1) < UNUSED] = UNUSED
    together = torch.from_numpy(np.concatenate([bias for _, bias in parts]).astype(np.float32))
    return Lexicon(torch.from_numpy(table), areas, together)


def laid_out(ngrams: Sequence[int], labels: Sequence[int], buckets: int, width: int) -> tuple[Area, ...]:
    """Share `buckets` among sets by the root of their n-grams per weight of a bucket.

    That is where the bytes take away most collisions. No set has more buckets than there are hashes.
    """
    wanted = [max(1, found) / columns(of) for found, of in zip(ngrams, labels, strict=True)]
    roots = np.sqrt(wanted)
    areas: list[Area] = []
    start = 0
    for root, of in zip(roots, labels, strict=True):
        fold = width // columns(of)
        rows = min(HASHES, buckets * float(root / roots.sum())) // fold
        area = Area(of, start, _without_common_divisor(int(rows), fold))
        areas.append(area)
        start += area.rows
    return tuple(areas)


def _without_common_divisor(least: int, fold: int) -> int:
    return next(rows for rows in count(max(1, least)) if gcd(rows, fold) == 1)


def _counted(examples: Examples) -> _Counts:
    keys: list[NDArray[np.int64]] = []
    for row in range(len(examples.ids)):
        batch = collate(examples.ids, [row], 0, place=CPU)
        keys.append(hashed(batch.input_ids, batch.attention_mask)[0][0].numpy())
    lengths = np.array([len(found) for found in keys])
    ends = np.concatenate([[0], np.cumsum(lengths)])
    whole = csr_matrix((np.ones(ends[-1]), np.concatenate(keys), ends), shape=(len(keys), HASHES))
    whole.sum_duplicates()
    return _Counts(whole, lengths.astype(np.float64))


def _chosen(
    lesson: Lesson, shares: csr_matrix, area: Area, fold: int, penalties: Sequence[float]
) -> tuple[float, _Part]:
    """Return the inverse penalty that dev likes best (the strongest of equals), and its `_fitted`."""
    fitted = [_fitted(shares, np.array(lesson.train.labels), area, penalty) for penalty in sorted(penalties)]
    scores = [0]
    if len(penalties) > 1:
        dev = _counted(lesson.dev).shares(area.rows, fold)
        told = [dev @ weights.reshape(-1, area.columns) + bias[-area.columns :] for weights, bias in fitted]
        guesses = [(of[:, 0] > 0) if area.labels == 2 else of.argmax(1) for of in told]
        scores = [int((guess == np.array(lesson.dev.labels)).sum()) for guess in guesses]
    best = scores.index(max(scores))
    return sorted(penalties)[best], fitted[best]


def _fitted(shares: csr_matrix, labels: NDArray[np.int64], area: Area, inverse_penalty: float) -> _Part:
    """Return weights [rows, fold · columns] and bias [labels] of one set."""
    models = [_against_the_rest(shares, labels == of, inverse_penalty) for of in range(area.labels)[-area.columns :]]
    weights = np.stack([weight for weight, _ in models], axis=1)
    bias = np.array([bias for _, bias in models])
    spread = float(np.std(shares @ weights + bias))
    weights, bias = weights.reshape(area.rows, -1) / spread, bias / spread
    return weights, np.concatenate([-bias, bias]) if area.labels == 2 else bias


def _against_the_rest(shares: csr_matrix, own: NDArray[np.bool_], inverse_penalty: float) -> tuple[Float64, float]:
    """Return weights [buckets] and bias of one label's linear SVM, in units of `shares`."""
    present = shares.sign()
    inside, outside = (np.asarray(present[rows].sum(0)).ravel() + _SMOOTHING for rows in (own, ~own))
    ratio = np.log(inside / inside.sum()) - np.log(outside / outside.sum())
    model = LinearSVC(C=inverse_penalty, random_state=0, max_iter=_ROUNDS, tol=_TOLERANCE)
    with warnings.catch_warnings():
        # What some rows still move after so many rounds, int8 rounds away.
        warnings.simplefilter("ignore", ConvergenceWarning)
        model.fit(shares.multiply(ratio).tocsr(), own)
    return model.coef_[0] * ratio, float(model.intercept_[0])
