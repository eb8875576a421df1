"""A personal head meets a new release: candidates by policy, as pure functions over weights.

``replay`` trains the new release on the local samples; ``merge`` adds the personal change to the new release;
``keep`` is the old personal head as it is. Which one a release was signed with only says which candidates are tried:
each is judged against the new release like a generation, and a tie goes to the new release. Rows of the last layer
are matched by label name, so labels may be added or removed.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from headway.coreml.model import MLModel
from headway.device.personalise import Array, Weights

CANDIDATES: dict[str, tuple[str, ...]] = {
    "replay": ("replay",),
    "merge": ("merge", "replay"),
    "keep": ("keep", "merge"),
    "discard": (),
}
"""Ways to try, by signed policy."""

ALPHAS = (0.25, 0.5, 0.75, 1.0)


@dataclass(frozen=True, slots=True)
class Labelled:
    """A head with its labels, in the order of its output."""

    model: MLModel
    labels: tuple[str, ...]


def can_keep(personal: Labelled, release: Labelled) -> bool:
    """Whether the old personal head answers the same question: same labels in the same order, same shapes."""
    return personal.labels == release.labels and _shapes(personal.model) == _shapes(release.model)


def merged(release: Labelled, personal: Labelled, old: Labelled) -> Iterator[tuple[float, MLModel]]:
    """``new + α · (personal − old)`` for each α; nothing where the layers do not fit each other.

    ``old`` is the release that ``personal`` grew on.
    """
    if personal.labels != old.labels or _shapes(personal.model) != _shapes(old.model):
        return
    change = {key: personal.model.weights[key] - value for key, value in old.model.weights.items()}
    change = match_labels(change, old.labels, release)
    new = release.model.weights
    if any(key not in change or change[key].shape != value.shape for key, value in new.items()):
        return
    for alpha in ALPHAS:
        weights = {key: (value + np.float32(alpha) * change[key]).astype(np.float32) for key, value in new.items()}
        yield alpha, release.model.with_weights(weights)


def match_labels(change: Weights, labels: Sequence[str], release: Labelled) -> dict[str, Array]:
    """``change`` with the rows of its last layer in the order of the release's labels; a new label changes nothing."""
    keys = list(release.model.trainable_keys)
    last = keys[-1].rpartition(".")[0] if keys else ""
    result = dict(change)
    for key in keys:
        if key.rpartition(".")[0] != last or key not in change:
            continue
        rows = change[key]
        matched = np.zeros((len(release.labels), *rows.shape[1:]), np.float32)
        for index, label in enumerate(release.labels):
            if label in labels:
                matched[index] = rows[list(labels).index(label)]
        result[key] = matched
    return result


def _shapes(model: MLModel) -> dict[str, tuple[int, ...]]:
    return {key: value.shape for key, value in model.weights.items()}
