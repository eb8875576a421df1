"""What a split holds, as facts and cards tell it: rows by label, tokens, lengths. Pure; no text is ever quoted."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from headway.contract.tokenizer import Tokenizer
from headway_trainer.data.corpora import Labelled


def counts(rows: Labelled, labels: Sequence[str], tokenizer: Tokenizer, longest: int) -> dict[str, Any]:
    """Return the figures of a split of at least one row, its texts cut to `longest` tokens as a base cuts them.

    Raises `RefusedError` (`train.corpus`) for a row with another label than `labels`.
    """
    label_ids = rows.label_ids(tuple(labels))
    whole = [tokenizer.ids(text, longest + 1) for text in rows.texts]
    # One token more than fits tells that a text is cut; without its last but one it is the cut text.
    ids = [row if len(row) <= longest else [*row[:-2], row[-1]] for row in whole]
    lengths = sorted(map(len, ids))
    return {
        "digest": rows.digest,
        "rows": len(ids),
        "labels": {label: label_ids.count(index) for index, label in enumerate(labels)},
        "tokens": sum(lengths),
        "length_p50_p99_max": [lengths[len(lengths) // 2], lengths[len(lengths) * 99 // 100], lengths[-1]],
        "cut": sum(len(row) > longest for row in whole),
        "unknown_tokens": sum(row.count(tokenizer.unk_id) for row in ids),
    }
