"""Masked language modelling for the student: it guesses hidden tokens from what is around them.

Which tokens and how is BERT's rule (Devlin et al. 2019, appendix A.1): of the chosen tokens 80 % become `[MASK]`, 10 %
some other token, 10 % stay as they are. The guess is BERT's as well, but narrower: the last hidden state, projected to
the width of the word embeddings and normalised, against these very embeddings. The head is made for training alone and
stands in no package.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from headway.contract.tokenizer import Tokenizer
from headway_trainer.data.batches import Batch, collate, ordered_batches
from headway_trainer.models.student import MASKED, Student

_AS_MASK, _AS_OTHER = 0.8, 0.9
_SPECIAL = re.compile(r"\[[A-Za-z0-9]+\]")


@dataclass(frozen=True, slots=True)
class Cloze:
    """The share of tokens to guess, the id of `[MASK]`, the ids int64 [n] of the tokens that may stand in for any."""

    share: float
    mask_id: int
    ordinary: Tensor

    @classmethod
    def of(cls, tokenizer: Tokenizer, mask_id: int, share: float) -> Cloze:
        """Return it for a vocabulary: every token may stand in but the special ones."""
        ordinary = [number for number, token in enumerate(tokenizer.tokens) if not _SPECIAL.fullmatch(token)]
        return cls(share, mask_id, torch.tensor(ordinary))

    def hide(self, batch: Batch) -> tuple[Tensor, Tensor]:
        """Return the batch's ids with tokens hidden, and which are to be guessed, bool [n, t].

        The marks at both ends and padding are never chosen. Numbers are drawn on the CPU, wherever the batch lives.
        """
        ids, mask = batch.input_ids, batch.attention_mask
        shape, place = ids.shape, ids.device
        chosen = (torch.rand(shape) < self.share).to(place) & mask.bool()
        chosen[:, 0] = False
        chosen[torch.arange(len(ids), device=place), mask.sum(1) - 1] = False
        fate = torch.rand(shape).to(place)
        others = self.ordinary[torch.randint(len(self.ordinary), shape)].to(place)
        instead = torch.where(fate < _AS_OTHER, others, ids).masked_fill(fate < _AS_MASK, self.mask_id)
        return torch.where(chosen, instead, ids), chosen


class WordHead(nn.Module):
    """Hidden states [m, width] to logits over the vocabulary [m, V], through the student's own word embeddings."""

    def __init__(self, student: Student, cloze: Cloze) -> None:
        super().__init__()
        self.cloze = cloze
        table = student.backbone.embeddings.word_embeddings.weight
        self.narrow = nn.Linear(student.config.hidden, table.shape[1])
        self.norm = nn.LayerNorm(table.shape[1])
        # Embeddings begin with unit variance: so do the logits.
        nn.init.constant_(self.norm.weight, table.shape[1] ** -0.5)
        self.bias = nn.Parameter(torch.zeros(len(table)))
        self._pad_id = student.pad_id

    def forward(self, states: Tensor, table: Tensor) -> Tensor:
        """Return the logits by the word embeddings `table` [V, embedding]; padding is never the word."""
        narrowed = self.norm(functional.gelu(self.narrow(states)))
        logits = functional.linear(narrowed, table, self.bias).to(torch.float32)
        logits[:, self._pad_id] = MASKED
        return logits

    def loss(self, student: Student, states: Tensor, batch: Batch, chosen: Tensor) -> Tensor:
        """Return the cross-entropy of the chosen tokens, mean over them, 0 where none is.

        `states` are the student's last hidden states [n, t, width].
        """
        logits = self(states[chosen], student.backbone.embeddings.word_embeddings.weight)
        total = functional.cross_entropy(logits, batch.input_ids[chosen], reduction="sum")
        return total / max(1, len(logits))


@torch.no_grad()
def guessed(student: Student, head: WordHead, ids: Sequence[Sequence[int]], pad_id: int, seed: int) -> dict[str, Any]:
    """Return how many hidden tokens of texts the student guesses, and the mean cross-entropy, as JSON."""
    student.eval()
    table = student.backbone.embeddings.word_embeddings.weight
    tokens, right, loss = 0, 0, 0.0
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(seed)
        for rows in ordered_batches([len(row) for row in ids], 64):
            batch = collate(ids, rows, pad_id)
            read, chosen = head.cloze.hide(batch)
            logits = head(student(read, batch.attention_mask).hidden[-1][chosen], table)
            wanted = batch.input_ids[chosen]
            tokens, right = tokens + len(wanted), right + int((logits.argmax(1) == wanted).sum())
            loss += float(functional.cross_entropy(logits, wanted, reduction="sum"))
    return {"tokens": tokens, "right": right, "loss": round(loss / max(1, tokens), 5)}
