"""Choosing the rows of a golden batch and turning texts into fixed-length inputs.

The rows are balanced over the classes and chosen by the seed alone, so that the same data give the same batch.
"""

from __future__ import annotations

import json
import random
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from headway.contract.tokenizer import Tokenizer

Int32 = NDArray[np.int32]


def choose(labels: Sequence[int], rows: int, seed: int) -> list[int]:
    """Return `rows` row numbers in ascending order, the classes as evenly as can be."""
    by_class: dict[int, list[int]] = {}
    for row, label in enumerate(labels):
        by_class.setdefault(label, []).append(row)
    generator = random.Random(seed)
    queues = [by_class[label] for label in sorted(by_class)]
    for queue in queues:
        generator.shuffle(queue)
    dealt = [queue[rank] for rank in range(max(map(len, queues))) for queue in queues if rank < len(queue)]
    return sorted(dealt[:rows])


def encoded(tokenizer: Tokenizer, texts: Sequence[str], length: int) -> tuple[Int32, Int32]:
    """Return ids and masks of texts, int32 [n, length] each."""
    rows = [tokenizer.encode(text, length) for text in texts]
    ids = np.array([row.input_ids for row in rows], dtype=np.int32)
    return ids, np.array([row.attention_mask for row in rows], dtype=np.int32)


def write_texts(path: Path, texts: Sequence[str], labels: Sequence[str]) -> None:
    """Write one JSON object `{"text", "label"}` per line."""
    rows = zip(texts, labels, strict=True)
    lines = [json.dumps({"text": text, "label": label}, ensure_ascii=False) + "\n" for text, label in rows]
    path.write_text("".join(lines), encoding="utf-8", newline="\n")
