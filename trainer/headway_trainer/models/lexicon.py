"""The lexicon at work: hashed n-grams of tokens with weights per label, summed beside the encoder.

An encoder that learnt from some ten thousand texts spells names badly; a linear model over n-grams knows every name it
has met and is sure only of those. Both together err less than either (the card tells by how much). So a base may carry
the linear model inside: looked up at hashes of one, two and three tokens, summed and divided by the root of their
number. The same few integer operations run in training, in the package and on a phone.

One table holds the weights of every set, as int8 with a scale per row. A set has an area of rows; a row holds as many
of its buckets as fit, so that scales cost little whatever the number of labels. Of two labels one weight is kept, which
the other has negated. The table is fitted once (`models.lexicon_fit`), after the encoder, and frozen like it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

# Odd factors that spread neighbouring ids; with the limits below every product stays within an int32.
_ONE, _TWO, _THREE = 7919, 50021, 2039
HASHES = 2**20
MOST_TOKENS = 2**31 // _TWO

WIDTH = 60
"""Weights of a row, unless a set has more labels: 1, 3, 6, 10 and 15 of them share it without a rest."""


@dataclass(frozen=True, slots=True)
class Area:
    """Where the weights of one set stand: its labels, the first row of its part of the table, its rows."""

    labels: int
    first_row: int
    rows: int

    @property
    def columns(self) -> int:
        """Weights of a bucket."""
        return columns(self.labels)

    def fold(self, width: int) -> int:
        """Return how many buckets share a row of so many weights; rows have no divisor with it in common."""
        return width // self.columns


def columns(labels: int) -> int:
    """Return how many weights a bucket needs to speak about so many labels."""
    return 1 if labels == 2 else labels


class Lexicon(nn.Module):
    """The table at work: integer ids and mask [n, t] in, float32 [n, labels of all sets] out.

    `table` is float32 [rows, width], `bias` float32 [labels of all sets]; a label's value is the sum of its weights
    over the root of how many n-grams the text has, and its bias.
    """

    def __init__(self, table: Tensor, areas: Sequence[Area], bias: Tensor) -> None:
        super().__init__()
        self.table = nn.Embedding(table.shape[0], table.shape[1], _weight=table, _freeze=True)
        self.areas = tuple(areas)
        self.bias: Tensor
        self.register_buffer("bias", bias)

    @property
    def labels(self) -> int:
        """How many values a text gets."""
        return sum(area.labels for area in self.areas)

    def with_table(self, table: Tensor) -> Lexicon:
        """Return the lexicon with other weights at the same places."""
        return Lexicon(table, self.areas, self.bias)

    def forward(self, input_ids: Tensor, attention_mask: Tensor) -> Tensor:
        """Return every set's values, one set after the other."""
        found, kept = hashed(input_ids, attention_mask)
        weight = kept.to(torch.float32)
        length = weight.sum(1, keepdim=True).sqrt()
        sums = [self._of(area, found, weight) for area in self.areas]
        return torch.cat(sums, dim=1) / length + self.bias

    def _of(self, area: Area, found: Tensor, weight: Tensor) -> Tensor:
        fold, width = area.fold(self.table.embedding_dim), area.columns
        # Two remainders without a common divisor are as good as one and a division, which would be made in floats.
        row, slot = torch.remainder(found, area.rows) + area.first_row, torch.remainder(found, fold)
        distance = (slot.unsqueeze(-1) - torch.arange(fold, dtype=slot.dtype, device=slot.device)).to(torch.float32)
        # 1 at the bucket's place in the row, 0 at the others: whole numbers differ by 1 at least.
        place = torch.relu(1 - distance * distance) * weight.unsqueeze(-1)
        cells = self.table(row)[:, :, : fold * width].unflatten(2, (fold, width))
        total: Tensor = (cells * place.unsqueeze(-1)).sum((1, 2))
        return torch.cat([-total, total], dim=1) if area.labels == 2 else total


def hashed(ids: Tensor, mask: Tensor) -> tuple[Tensor, Tensor]:
    """Return hashes below `HASHES` and mask, each [n, 3t - 3], of all n-grams of one, two and three tokens."""
    two = torch.remainder(ids[:, :-1] * _TWO + ids[:, 1:], HASHES)
    three = torch.remainder(two[:, :-1] * _THREE + ids[:, 2:], HASHES)
    found = torch.cat([torch.remainder(ids * _ONE, HASHES), two, three], dim=1)
    return found, torch.cat([mask, mask[:, 1:], mask[:, 2:]], dim=1)
