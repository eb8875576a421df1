"""Packages of the same weights for shorter texts: most of what a fixed length costs is padding.

A base takes texts of one length; a title of 20 tokens in a base of 128 costs as much as a review. Features of many
texts are therefore computed by packages of a half and a quarter of the length too, where that saves more than their
export costs. They are never released, and what a released base is measured on goes through the released base.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import numpy as np

from headway.contract.tokenizer import Tokenizer
from headway.coreml.features import Features
from headway_trainer.export.base import mismatch
from headway_trainer.featured import READ_ONCE

Write = Callable[[int, Path], object]
"""Writes a package of the same weights that reads so many tokens."""

WORTH = 500_000
"""Tokens of padding that a package must save, about the half minute that its export takes."""

_COMPARED = 32
_NEAR = 0.02
"""Of the largest feature. Sums of another order move it by 1e-5 or so, without normalisation by more; other weights by
all of it."""


def worthwhile(lengths: Sequence[int], longest: int) -> list[int]:
    """Return which of a quarter and a half of `longest` save texts of these lengths enough padding."""
    found: list[int] = []
    left = sorted(lengths)
    for length in (longest // 4, longest // 2):
        fitting = sum(text <= length for text in left)
        if fitting * (longest - length) >= WORTH:
            found.append(length)
            left = left[fitting:]
    return found


@contextmanager
def shorter(write: Write, lengths: Sequence[int], tokenizer: Tokenizer, scratch: Path) -> Iterator[list[Features]]:
    """Give the packages of these lengths, ready to run, while they lie in a folder under `scratch`.

    Raises `RefusedError` (`train.parity`) if one does not hold the weights asked for.
    """
    with tempfile.TemporaryDirectory(dir=scratch, prefix=".shorter-") as folder:
        made = []
        for length in lengths:
            path = Path(folder) / f"{length}.mlpackage"
            write(length, path)
            made.append(Features(path, tokenizer, options=READ_ONCE))
        yield made


def deviation(whole: Features, parts: Sequence[Features], texts: Sequence[str]) -> float:
    """Return how far features of the first texts that fit into each shorter package are from the whole one's.

    Raises `RefusedError` (`train.parity`) if it is more than a fiftieth of the largest feature.
    """
    furthest = largest = 0.0
    for part in parts:
        fitting = (text for text in texts if len(part.tokenizer.ids(text, whole.length)) <= part.length)
        chosen = [text for text, _ in zip(fitting, range(_COMPARED), strict=False)]
        if chosen:
            wanted = whole.of(chosen)
            largest = max(largest, float(np.abs(wanted).max()))
            furthest = max(furthest, float(np.abs(part.of(chosen) - wanted).max()))
    if not furthest <= _NEAR * largest:
        raise mismatch(f"a package of shorter texts gives features that are {furthest:.1e} away from its")
    return furthest
