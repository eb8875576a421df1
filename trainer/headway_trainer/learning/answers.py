"""The teacher's answers for the training rows, computed once and kept in memory.

Hidden states and attentions are kept as float16: 12,321 utterances take about a gigabyte.
"""

from __future__ import annotations

import io
import sys
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from headway_trainer.data.batches import collate, ordered_batches
from headway_trainer.learning import distributed
from headway_trainer.learning.distributed import device
from headway_trainer.learning.matching import Guidance, guidance
from headway_trainer.models.teacher import Teacher
from headway_trainer.processes import rank
from headway_trainer.progress import Progress


@dataclass(frozen=True, slots=True)
class Answers:
    """logits [rows, K], not a number for a row it was not asked about, and what it computed on the way.

    Per row hidden [layers+1, t, width] and attentions [layers, heads, t, t], or no details.
    """

    logits: Tensor
    hidden: Sequence[Tensor]
    attentions: Sequence[Tensor]

    def guidance(self, rows: Sequence[int], length: int) -> Guidance:
        """Return the states of a batch, padded with zeros to `length` tokens."""
        (layers, _, width), heads = self.hidden[rows[0]].shape, self.attentions[rows[0]].shape[1]
        # Filled in, not stacked: autocast would not let float16 pass where it computes in bfloat16.
        hidden = self.hidden[rows[0]].new_zeros(len(rows), layers, length, width)
        attentions = self.attentions[rows[0]].new_zeros(len(rows), layers - 1, heads, length, length)
        for position, row in enumerate(rows):
            size = self.hidden[row].shape[1]
            hidden[position, :, :size] = self.hidden[row]
            attentions[position, :, :, :size, :size] = self.attentions[row]
        return Guidance(hidden.to(device()), attentions.to(device()))


@torch.no_grad()
def ask(
    teacher: Teacher,
    ids: Sequence[Sequence[int]],
    pad_id: int,
    layers: int,
    heads: int,
    details: bool,
    asked: Sequence[int] | None = None,
) -> Answers:
    """Run the teacher for a student of `layers` and `heads`; `details` keeps states and attentions, `asked` is all.

    Several processes ask about a share each and tell each other the logits; with `details` each asks about everything,
    for states are too large to hand on.
    """
    teacher.eval()
    hidden: list[Tensor] = [torch.empty(0)] * len(ids)
    attentions: list[Tensor] = [torch.empty(0)] * len(ids)
    wanted = range(len(ids)) if asked is None else asked
    chosen = wanted if details else [wanted[index] for index in distributed.own(len(wanted))]
    found = torch.zeros(len(ids), teacher.classifier.out_features)
    batches = [[chosen[i] for i in batch] for batch in ordered_batches([len(ids[row]) for row in chosen], 64)]
    stream, tokens = io.StringIO() if rank() else sys.stderr, sum(len(ids[row]) for row in chosen)
    progress = Progress("teacher's answers", len(batches), stream=stream, tokens=tokens)
    for rows in batches:
        batch = collate(ids, rows, pad_id)
        out = teacher(batch.input_ids, batch.attention_mask, details=details)
        found[batch.rows] = out.logits.cpu()
        if details:
            guide = guidance(out, layers, heads)
            for position, row in enumerate(rows):
                size = len(ids[row])
                hidden[row] = guide.hidden[position, :, :size].half().cpu()
                attentions[row] = guide.attentions[position, :, :, :size, :size].half().cpu()
        progress.advance(None, int(batch.attention_mask.sum()))
    logits = torch.full_like(found, torch.nan)
    logits[list(wanted)] = (found if details else distributed.total(found))[list(wanted)]
    return Answers(logits, hidden, attentions)
