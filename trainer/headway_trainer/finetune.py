"""Step `teacher`: fine-tune the teacher on the labelled rows, keep the epoch that is best on dev."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

from headway_trainer.data.batches import collate, epoch_batches, masked, ordered_batches
from headway_trainer.data.examples import Examples
from headway_trainer.evaluate import Accuracy
from headway_trainer.loop import Plan, Rows, train
from headway_trainer.models.teacher import Teacher
from headway_trainer.optimiser import Schedule


@dataclass(frozen=True, slots=True)
class FinetuneConfig:
    """How the teacher is fine-tuned; `dropout` is the classifier's, `patience` the epochs without gain allowed.

    `masked` is the share of tokens hidden from it, `average` the decay of the moving average of its weights.
    """

    epochs: int = 4
    batch_size: int = 32
    dropout: float = 0.1
    masked: float = 0.0
    patience: int | None = 2
    average: float = 0.0
    schedule: Schedule = field(default_factory=lambda: Schedule(learning_rate=8e-5))


def finetune(
    teacher: Teacher,
    rows: Examples,
    dev: Examples,
    config: FinetuneConfig,
    seed: int,
    special: tuple[int, int],
    path: Path,
) -> dict[str, Any]:
    """Train `teacher` in place, leave its best state in `path` and in `teacher`, and return the facts.

    `special` are the ids of padding and of the mask token.
    """
    pad_id, mask_id = special
    labels = torch.tensor(rows.labels)

    def loss_of(chosen: Rows) -> tuple[Tensor, int]:
        batch = collate(rows.ids, chosen, pad_id)
        out = teacher(masked(batch, config.masked, mask_id), batch.attention_mask)
        return functional.cross_entropy(out.logits, labels[batch.rows]), int(batch.attention_mask.sum())

    rounds = [epoch_batches(rows.lengths, config.batch_size, seed, epoch) for epoch in range(config.epochs)]
    plan = Plan("teacher", rounds, config.schedule, seed, config.patience, config.average)
    return train(plan, teacher, loss_of, path, lambda: correct(teacher, dev, pad_id).value).facts()


@torch.no_grad()
def logits(teacher: Teacher, ids: Sequence[Sequence[int]], pad_id: int, batch_size: int = 64) -> Tensor:
    """Return the teacher's logits float32 [rows, K] in row order."""
    teacher.eval()
    found = torch.empty(len(ids), teacher.classifier.out_features)
    for rows in ordered_batches([len(row) for row in ids], batch_size):
        batch = collate(ids, rows, pad_id)
        found[batch.rows] = teacher(batch.input_ids, batch.attention_mask).logits
    return found


def correct(teacher: Teacher, examples: Examples, pad_id: int) -> Accuracy:
    """Return how many rows the teacher labels rightly."""
    chosen = logits(teacher, examples.ids, pad_id).argmax(1)
    return Accuracy(int((chosen == torch.tensor(examples.labels)).sum()), len(examples.labels))
