"""What is changed in a copy of student and lexicon before they become a float16 program.

The values stay those of float32 to within rounding; what changes is how large or small the numbers on the way become.
Float32 exports never pass through here, so their bytes do not depend on it.
"""

from __future__ import annotations

import copy
from typing import Any

import torch
from torch import Tensor, nn

from headway_trainer.models.lexicon import Lexicon
from headway_trainer.models.student import HALF_MASKED, HALF_PAD_EMBEDDING, Student


class _ScaledQuery(nn.Module):
    """A query projection that divides by the root of the head's width itself."""

    def __init__(self, projection: nn.Module, scaling: float) -> None:
        super().__init__()
        self.projection, self.scaling = projection, scaling

    def forward(self, states: Tensor) -> Tensor:
        scaled: Tensor = self.projection(states) * self.scaling
        return scaled


def student_for_half(student: Student) -> Student:
    """Return a copy that scales queries before their product with the keys, not the product after it.

    The product of a trained student was seen to pass float16's largest number where the scaled scores do not. The
    `[PAD]` row becomes large enough that its int8 scale is no zero in float16, and the mask small enough to be finite.
    """
    copied = copy.deepcopy(student)
    copied.masked = HALF_MASKED
    with torch.no_grad():
        copied.backbone.embeddings.word_embeddings.weight[copied.pad_id] = HALF_PAD_EMBEDDING
    for layer in copied.backbone.encoder.layer:
        attention: Any = layer.attention.self
        attention.query = _ScaledQuery(attention.query, float(attention.scaling))
        attention.scaling = 1.0
    return copied


def lexicon_for_half(lexicon: Lexicon) -> Lexicon:
    """Return a copy whose rows next to nothing are large enough that their int8 scales are no zeros in float16."""
    table = lexicon.table.weight.detach().clone()
    table[table.abs().amax(dim=1) < HALF_PAD_EMBEDDING] = HALF_PAD_EMBEDDING
    return lexicon.with_table(table)
