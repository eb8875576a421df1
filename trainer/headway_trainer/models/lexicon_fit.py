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
from headway_trainer.data.batches import collate
from headway_trainer.data.examples import Examples
from headway_trainer.models.lexicon import HASHES, MOST_TOKENS, WIDTH, Area, Lexicon, columns, hashed

Float64 = NDArray[np.float64]

UNUSED = 2.0**-20
"""Every weight of a row of which nothing was learnt: next to nothing, but a row of zeros has no int8 scale."""

_SMOOTHING, _ROUNDS, _TOLERANCE = 0.5, 100, 1e-2


@dataclass(frozen=True, slots=True)
class LexiconConfig:
    """`buckets` of all sets together (0: no lexicon) and the inverse penalty of the linear models that fill them."""

    buckets: int = 0
    inverse_penalty: float = 1.0


@dataclass(frozen=True, slots=True)
class _Counts:
    """How often a text (row) has an n-gram hash (column) that more than one text has, and its n-grams in all."""

    found: csr_matrix
    lengths: Float64
    ngrams: int


def fit(sets: Sequence[tuple[Examples, int]], tokens: int, config: LexiconConfig) -> Lexicon:
    """Return the lexicon of sets, each given by its training rows and its number of labels.

    The values of each set's training texts have a standard deviation of 1, like features of an encoder. Every label
    must occur. Raises `RefusedError` (`train.geometry`) for a vocabulary too large for 32-bit hashes.
    """
    if tokens > MOST_TOKENS:
        raise RefusedError(
            "train.geometry",
            f"A lexicon over {tokens} tokens does not fit 32-bit hashes.",
            hint=f"At most {MOST_TOKENS} tokens; a trimmed vocabulary is smaller.",
        )
    counted = [_counted(train) for train, _ in sets]
    labels = [classes for _, classes in sets]
    width = max(WIDTH, *map(columns, labels))
    areas = laid_out([found.ngrams for found in counted], labels, config.buckets, width)
    table = np.full((sum(area.rows for area in areas), width), 0.0, dtype=np.float32)
    biases: list[Float64] = []
    for (train, _), found, area in zip(sets, counted, areas, strict=True):
        weights, bias = _fitted(found, np.array(train.labels), area, area.fold(width), config.inverse_penalty)
        table[area.first_row : area.first_row + area.rows, : weights.shape[1]] = weights
        biases.append(bias)
    table[np.abs(table).max(axis=1) < UNUSED] = UNUSED
    return Lexicon(torch.from_numpy(table), areas, torch.from_numpy(np.concatenate(biases).astype(np.float32)))


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


def _counted(train: Examples) -> _Counts:
    keys: list[NDArray[np.int64]] = []
    for row in range(len(train.ids)):
        batch = collate(train.ids, [row], 0)
        keys.append(hashed(batch.input_ids, batch.attention_mask)[0][0].numpy())
    lengths = np.array([len(found) for found in keys])
    ends = np.concatenate([[0], np.cumsum(lengths)])
    whole = csr_matrix((np.ones(ends[-1]), np.concatenate(keys), ends), shape=(len(keys), HASHES))
    whole.sum_duplicates()
    shared = np.bincount(whole.indices, minlength=HASHES) > 1
    whole.data[~shared[whole.indices]] = 0
    whole.eliminate_zeros()
    return _Counts(whole, lengths.astype(np.float64), int(shared.sum()))


def _fitted(
    counts: _Counts, chosen: NDArray[np.int64], area: Area, fold: int, inverse_penalty: float
) -> tuple[Float64, Float64]:
    """Return weights [rows, fold · columns] and bias [labels] of one set."""
    found = counts.found
    buckets = found.indices % area.rows * fold + found.indices % fold
    values = found.data / np.sqrt(np.repeat(counts.lengths, np.diff(found.indptr)))
    shares = csr_matrix((values, buckets, found.indptr), shape=(found.shape[0], area.rows * fold))
    shares.sum_duplicates()
    models = [_against_the_rest(shares, chosen == of, inverse_penalty) for of in range(area.labels)[-area.columns :]]
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
