"""Step `teacher`: fine-tune the teacher on the labelled rows, keep the epoch that is best on dev.

Several sets share the encoder and have their own columns of the classifier; a batch comes from one set.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

from headway_trainer.data.batches import collate, masked, ordered_batches
from headway_trainer.data.examples import Examples
from headway_trainer.data.mixing import Mixture, Scored
from headway_trainer.evaluate import Accuracy, mean_of
from headway_trainer.learning import scoring
from headway_trainer.learning.distributed import Precision, Rows
from headway_trainer.learning.loop import Plan, train
from headway_trainer.learning.optimiser import Schedule
from headway_trainer.models.teacher import Teacher


@dataclass(frozen=True, slots=True)
class FinetuneConfig:
    """How the teacher is fine-tuned; `dropout` is the classifier's, `patience` the epochs without gain allowed.

    `encoder_dropout` is that of the encoder's layers, by default what its checkpoint names: a schedule of one pass or
    two needs none, and a CPU spends an eighth of a step on it.

    `masked` is the share of tokens hidden from it, `average` the decay of the moving average of its weights.
    An epoch has `round_steps` batches, with 0 as many as the rows fill.
    """

    epochs: int = 4
    batch_size: int = 32
    round_steps: int = 0
    dropout: float = 0.1
    encoder_dropout: float | None = None
    masked: float = 0.0
    patience: int | None = 2
    average: float = 0.0
    precision: Precision = "float32"
    schedule: Schedule = field(default_factory=lambda: Schedule(learning_rate=8e-5))


def finetune(
    teacher: Teacher,
    mixture: Mixture,
    dev: Sequence[Scored],
    config: FinetuneConfig,
    seed: int,
    special: tuple[int, int],
    path: Path,
) -> dict[str, Any]:
    """Train `teacher` in place, leave its best state in `path` and in `teacher`, and return the facts.

    `special` are the ids of padding and of the mask token.
    """
    pad_id, mask_id = special
    labels = torch.tensor(mixture.rows.labels)

    def loss_of(chosen: Rows) -> tuple[Tensor, int]:
        batch = collate(mixture.rows.ids, chosen, pad_id)
        out = teacher(masked(batch, config.masked, mask_id), batch.attention_mask)
        own = out.logits[:, mixture.span(chosen)].to(torch.float32)
        return functional.cross_entropy(own, labels[batch.rows].to(own.device)), int(batch.attention_mask.sum())

    def score() -> float:
        return mean_of([correct(teacher, rows, pad_id, span) for rows, span in dev])

    rounds = mixture.rounds(config.batch_size, config.epochs, seed, config.round_steps)
    plan = Plan("teacher", rounds, config.schedule, seed, config.patience, config.average, precision=config.precision)
    return train(plan, teacher, loss_of, path, score).facts()


@torch.no_grad()
def logits(teacher: Teacher, ids: Sequence[Sequence[int]], pad_id: int, batch_size: int = 64) -> Tensor:
    """Return the teacher's logits float32 [rows, K] in row order."""
    teacher.eval()
    found = torch.empty(len(ids), teacher.classifier.out_features)
    for rows in ordered_batches([len(row) for row in ids], batch_size):
        batch = collate(ids, rows, pad_id)
        found[batch.rows] = teacher(batch.input_ids, batch.attention_mask).logits.cpu()
    return found


def correct(teacher: Teacher, examples: Examples, pad_id: int, span: slice) -> Accuracy:
    """Return how many rows the teacher labels rightly with the columns `span` of its classifier."""
    return scoring.correct(lambda ids: logits(teacher, ids, pad_id), examples, span)
