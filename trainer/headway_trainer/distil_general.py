"""Step `distil-general`: the student learns the teacher's hidden states and attention on unlabelled text."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from headway_trainer.data.batches import collate, epoch_batches
from headway_trainer.distributed import device
from headway_trainer.loop import Plan, Rows, train
from headway_trainer.matching import Matching, attention_loss, guidance, points
from headway_trainer.models.student import Student
from headway_trainer.models.teacher import Teacher
from headway_trainer.optimiser import Schedule


@dataclass(frozen=True, slots=True)
class GeneralConfig:
    """How long and how: `steps` in rounds of `round_steps`; lines are cut at sentence ends to about `characters`."""

    steps: int = 1500
    round_steps: int = 250
    batch_size: int = 32
    characters: int = 48
    hidden_weight: float = 1.0
    attention_weight: float = 1.0
    schedule: Schedule = field(default_factory=lambda: Schedule(learning_rate=1.5e-3))


def distil_general(
    teacher: Teacher,
    student: Student,
    ids: Sequence[Sequence[int]],
    config: GeneralConfig,
    seed: int,
    pad_id: int,
    path: Path,
) -> tuple[Matching, dict[str, Any]]:
    """Train `student` in place on the tokenised texts; returns the learned projections and the facts."""
    geometry = student.config
    shape = teacher.encoder.config
    matching = Matching(points(geometry.layers, shape.num_hidden_layers), geometry.hidden, int(shape.hidden_size))
    matching.to(device())
    teacher.eval()

    def loss_of(rows: Rows) -> tuple[Tensor, int]:
        batch = collate(ids, rows, pad_id)
        with torch.no_grad():
            told = teacher(batch.input_ids, batch.attention_mask, details=True)
        guide = guidance(told, geometry.layers, geometry.heads)
        out = student(batch.input_ids, batch.attention_mask)
        loss = config.hidden_weight * matching.hidden_loss(out, guide, batch.attention_mask)
        loss = loss + config.attention_weight * attention_loss(out, guide, batch.attention_mask)
        return loss, int(batch.attention_mask.sum())

    plan = Plan("distil-general", _rounds([len(row) for row in ids], config, seed), config.schedule, seed)
    outcome = train(plan, nn.ModuleList([student, matching]), loss_of, path)
    return matching, {"texts": len(ids), "tokens": sum(map(len, ids)), "steps": plan.steps, **outcome.facts()}


def _rounds(lengths: Sequence[int], config: GeneralConfig, seed: int) -> list[list[list[int]]]:
    batches: list[list[int]] = []
    epoch = 0
    while len(batches) < config.steps:
        batches += epoch_batches(lengths, config.batch_size, seed, epoch)
        epoch += 1
    kept = batches[: config.steps]
    return [kept[i : i + config.round_steps] for i in range(0, len(kept), config.round_steps)]
