"""Tokenised rows, and more of them: pieces of training texts that the teacher labels."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass

UNLABELLED = -1
"""The label of a row that only the teacher speaks about."""


@dataclass(frozen=True, slots=True)
class Examples:
    """Unpadded token ids and the class index of each row, or `UNLABELLED`."""

    ids: Sequence[Sequence[int]]
    labels: Sequence[int]

    @property
    def lengths(self) -> list[int]:
        """Tokens of each row."""
        return [len(row) for row in self.ids]


def pieces(ids: Sequence[Sequence[int]], per_text: int, shortest: int, seed: int) -> Examples:
    """Cut `per_text` random spans of at least `shortest` tokens out of every longer text, `[CLS]` and `[SEP]` kept."""
    generator = random.Random(seed)
    found: list[list[int]] = []
    for row in ids:
        first, *body, last = row
        for _ in range(per_text):
            if len(body) > shortest:
                size = generator.randint(shortest, len(body) - 1)
                start = generator.randint(0, len(body) - size)
                found.append([first, *body[start : start + size], last])
    return Examples(found, [UNLABELLED] * len(found))


def drawn(rows: int, most: int, seed: int) -> list[int]:
    """Return `most` row numbers of `rows` in order, drawn by chance; all of them where `most` is 0 or as many."""
    return sorted(random.Random(seed).sample(range(rows), most)) if 0 < most < rows else list(range(rows))


def joined(*parts: Examples) -> Examples:
    """Return the rows of all parts in order."""
    ids = [row for part in parts for row in part.ids]
    return Examples(ids, [label for part in parts for label in part.labels])
