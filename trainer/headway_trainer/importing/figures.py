"""Figures of the splits: rows by class, imbalance, lengths in tokens, unknown tokens and what they come from."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from headway.contract.tokenizer import Tokenizer, words
from headway_trainer.importing.rows import Row

LENGTHS = (32, 64, 128)
"""Lengths a student is usually given; the contract allows at most 128."""

_PERCENTILES = (50, 90, 95, 99)
_ROOM = 4096
_MOST_UNKNOWN = 10


def figures(
    splits: Mapping[str, Sequence[Row]], labels: Sequence[str], tokenizer: Tokenizer, max_length: int | None = None
) -> dict[str, Any]:
    """Return the figures of every split, the imbalance of train, and the length that texts will be cut to.

    Without `max_length` that is the smallest usual one that leaves 99 of 100 training texts whole.
    """
    ids = {name: [tokenizer.ids(row.text, _ROOM) for row in rows] for name, rows in splits.items()}
    limit = max_length or _limit(sorted(map(len, ids["train"])))
    return {
        "splits": {name: _split(rows, ids[name], labels, tokenizer, limit) for name, rows in splits.items()},
        "imbalance": _imbalance(splits["train"]),
        "max_length": limit,
    }


def _limit(lengths: Sequence[int]) -> int:
    return next((length for length in LENGTHS if _percentile(lengths, 99) <= length), LENGTHS[-1])


def _percentile(ascending: Sequence[int], share: int) -> int:
    return ascending[(len(ascending) - 1) * share // 100]


def _split(
    rows: Sequence[Row], ids: Sequence[Sequence[int]], labels: Sequence[str], tokenizer: Tokenizer, limit: int
) -> dict[str, Any]:
    lengths = sorted(map(len, ids))
    unknown = sum(row.count(tokenizer.unk_id) for row in ids)
    counts = Counter(row.label for row in rows)
    return {
        "rows": len(rows),
        "labels": {label: counts[label] for label in labels},
        "tokens": {
            **{f"p{share}": _percentile(lengths, share) for share in _PERCENTILES},
            "max": lengths[-1],
            "total": sum(lengths),
        },
        "over_max_length": sum(length > limit for length in lengths),
        "unknown": {
            "tokens": unknown,
            "share": round(unknown / sum(lengths), 6),
            "texts": sum(tokenizer.unk_id in row for row in ids),
            "characters": _unknown_characters(rows, ids, tokenizer),
        },
    }


def _unknown_characters(rows: Sequence[Row], ids: Sequence[Sequence[int]], tokenizer: Tokenizer) -> dict[str, int]:
    """The single characters that are most often unknown: signs and rare ideographs."""
    counts: Counter[str] = Counter()
    for row, found in zip(rows, ids, strict=True):
        if tokenizer.unk_id in found:
            counts.update(w for w in words(row.text) if len(w) == 1 and tokenizer.unk_id in tokenizer.ids(w, 3))
    return dict(counts.most_common(_MOST_UNKNOWN))


def _imbalance(train: Sequence[Row]) -> dict[str, Any]:
    counts = Counter(row.label for row in train).most_common()
    return {
        "largest": counts[0][1],
        "smallest": counts[-1][1],
        "ratio": round(counts[0][1] / counts[-1][1], 2),
        "share_of_largest": round(counts[0][1] / len(train), 4),
    }
