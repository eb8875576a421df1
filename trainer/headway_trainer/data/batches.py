"""Batches of token ids: texts of like length together, padded to the longest of the batch.

The order depends on the seed and the epoch alone, so a resumed run sees the batches an uninterrupted one would.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from headway_trainer.learning.distributed import device

# Batches whose rows are sorted together: enough to save padding, few enough to keep batches mixed.
_POOL_BATCHES = 40


@dataclass(frozen=True, slots=True)
class Batch:
    """Rows of a corpus: `rows` are their indices on the CPU; ids and mask int64 [n, longest] where models live."""

    rows: Tensor
    input_ids: Tensor
    attention_mask: Tensor


def epoch_batches(lengths: Sequence[int], batch_size: int, seed: int, epoch: int) -> list[list[int]]:
    """Return the rows of every batch of one epoch, mixed, each batch of like lengths."""
    generator = random.Random(f"{seed}:{epoch}")
    order = list(range(len(lengths)))
    generator.shuffle(order)
    pool = batch_size * _POOL_BATCHES
    batches: list[list[int]] = []
    for start in range(0, len(order), pool):
        rows = sorted(order[start : start + pool], key=lambda row: lengths[row])
        batches += [rows[i : i + batch_size] for i in range(0, len(rows), batch_size)]
    generator.shuffle(batches)
    return batches


def ordered_batches(lengths: Sequence[int], batch_size: int) -> list[list[int]]:
    """Return all rows in batches of like length, for passes without training."""
    order = sorted(range(len(lengths)), key=lambda row: lengths[row])
    return [order[i : i + batch_size] for i in range(0, len(order), batch_size)]


def masked(batch: Batch, share: float, mask_id: int) -> Tensor:
    """Return the batch's ids with a random `share` of the tokens hidden, never the first one or padding."""
    hit = (torch.rand(batch.input_ids.shape) < share).to(batch.input_ids.device) & batch.attention_mask.bool()
    hit[:, 0] = False
    return batch.input_ids.masked_fill(hit, mask_id)


CPU = torch.device("cpu")
"""Where counts, n-grams, lexicon, heads and everything that is exported live, whatever the models train on."""


def collate(
    ids: Sequence[Sequence[int]],
    rows: Sequence[int],
    pad_id: int,
    length: int | None = None,
    place: torch.device | None = None,
) -> Batch:
    """Pad the chosen rows to `length`, or to the longest of them, at `place`, or where this process trains."""
    width = length or max(len(ids[row]) for row in rows)
    input_ids = torch.full((len(rows), width), pad_id, dtype=torch.long)
    mask = torch.zeros((len(rows), width), dtype=torch.long)
    for position, row in enumerate(rows):
        size = len(ids[row])
        input_ids[position, :size] = torch.tensor(ids[row], dtype=torch.long)
        mask[position, :size] = 1
    place = place or device()
    return Batch(torch.tensor(rows, dtype=torch.long), input_ids.to(place), mask.to(place))
