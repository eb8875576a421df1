"""Calibration: on rows that were not learnt from, a head should be right as often as its probability says.

A classifier is surer of the rows that it learnt from than of others, an encoder that was taught on them all the more.
One number for each part of the logits, fitted on dev, takes that back without touching which features matter:
temperature scaling (Guo, Pleiss, Sun and Weinberger, "On Calibration of Modern Neural Networks", ICML 2017), and with
two parts their logistic combination, which is convex.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize
from scipy.special import log_softmax, softmax

Array = NDArray[np.float64] | NDArray[np.float32]

_BOUNDS = (0.02, 20.0)
"""Of a scale: rows that are all right would ask for an infinite one, and zero would leave nothing to train further."""

_BINS = 15


def scales(parts: Sequence[Array], labels: NDArray[np.int64]) -> tuple[float, ...]:
    """Return the factor of each part, logits [n, K], whose weighted sum makes the labels int64 [n] likeliest.

    Equal rows give equal factors.
    """
    stacked = np.stack([np.asarray(part, dtype=np.float64) for part in parts])
    rows = np.arange(len(labels))
    own = stacked[:, rows, labels]

    def loss(factors: NDArray[np.float64]) -> tuple[float, NDArray[np.float64]]:
        logits = np.tensordot(factors, stacked, axes=1)
        value = -float(log_softmax(logits, axis=1)[rows, labels].mean())
        slope = np.einsum("pnk,nk->p", stacked, softmax(logits, axis=1)) - own.sum(1)
        return value, slope / len(labels)

    found = minimize(loss, np.ones(len(parts)), jac=True, method="L-BFGS-B", bounds=[_BOUNDS] * len(parts))
    return tuple(float(value) for value in found.x)


def calibration_error(probabilities: Array, labels: NDArray[np.int64]) -> float:
    """Return the expected calibration error of probabilities [n, K], a share of 1 (Guo et al., equal bins).

    In each of 15 bins of the highest probability: its mean less the share of rows that are right, weighed by rows.
    """
    surest = np.asarray(probabilities, dtype=np.float64).max(1)
    right = np.asarray(probabilities).argmax(1) == labels
    bins = np.minimum((surest * _BINS).astype(np.int64), _BINS - 1)
    apart = np.bincount(bins, surest - right, minlength=_BINS)
    return float(np.abs(apart).sum() / len(labels))
