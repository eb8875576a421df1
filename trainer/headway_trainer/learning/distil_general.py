"""Step `distil-general`: the student learns the teacher's hidden states and attention on unlabelled text.

All layers learn together or one after the other (`transfer`). Where `masked_weight` is not 0 the student also guesses
hidden tokens (`cloze`); teacher and student then read the same text with the same tokens hidden, as in the MobileBERT
paper: a state can only be followed where both read the same.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from headway.contract.errors import RefusedError
from headway_trainer.data.batches import collate, epoch_batches
from headway_trainer.learning import checkpoint, distributed
from headway_trainer.learning.cloze import Cloze, WordHead, guessed
from headway_trainer.learning.distributed import Precision, Rows, device
from headway_trainer.learning.loop import LossOf, Outcome, Plan, train
from headway_trainer.learning.matching import Guidance, Matching, attention_loss, guidance, points
from headway_trainer.learning.optimiser import Schedule
from headway_trainer.learning.transfer import Part, Transfer, parts
from headway_trainer.models.student import Student
from headway_trainer.models.teacher import Teacher


@dataclass(frozen=True, slots=True)
class GeneralConfig:
    """How long and how: `steps` in rounds of `round_steps`; lines are cut at sentence ends to about `characters`.

    `masked_weight` weighs the guessing of the share `masked` of the tokens (0: none are hidden). With `transfer`
    "progressive" the compared layers learn one after the other, those below at the share `lower_rate` of the rate
    (0: frozen), and where tokens are guessed too, all together at the end.
    """

    steps: int = 1500
    round_steps: int = 250
    batch_size: int = 32
    characters: int = 48
    hidden_weight: float = 1.0
    attention_weight: float = 1.0
    masked_weight: float = 0.0
    masked: float = 0.15
    transfer: Transfer = "joint"
    lower_rate: float = 0.0
    precision: Precision = "float32"
    schedule: Schedule = field(default_factory=lambda: Schedule(learning_rate=1.5e-3))

    def __post_init__(self) -> None:
        """Refuse what could teach nothing. Raises `RefusedError` (`train.config`)."""
        if not self.masked_weight >= 0:
            raise _refused("masked_weight", "it must be 0 or more")
        if not 0 < self.masked < 1:
            raise _refused("masked", "it must be above 0 and below 1")
        if not 0 <= self.lower_rate <= 1:
            raise _refused("lower_rate", "it must be from 0 to 1")
        followed = bool(self.hidden_weight or self.attention_weight)
        if self.steps > 0 and not (followed or self.masked_weight):
            raise _refused("steps", "with all three weights 0 there is nothing to learn")
        if self.steps > 0 and self.transfer == "progressive" and not followed:
            raise _refused("transfer", "layers can only learn one after the other from states or attention")


@dataclass(frozen=True, slots=True)
class GeneralInputs:
    """Tokenised texts to learn from, others to measure the guessing on, the id of padding, what hides tokens."""

    ids: Sequence[Sequence[int]]
    dev: Sequence[Sequence[int]]
    pad_id: int
    cloze: Cloze


def distil_general(
    teacher: Teacher, student: Student, inputs: GeneralInputs, config: GeneralConfig, seed: int, path: Path
) -> tuple[Matching, dict[str, Any]]:
    """Train `student` in place; returns the learned projections and the facts."""
    geometry, shape = student.config, teacher.encoder.config
    followed = points(geometry.layers, shape.num_hidden_layers)
    stride = geometry.layers // followed
    matching = Matching(followed, geometry.hidden, int(shape.hidden_size)).to(device())
    torch.manual_seed(seed)
    words = WordHead(student, inputs.cloze).to(device()) if config.masked_weight and config.steps else None
    teacher.eval()
    stages = parts(config.transfer, followed, config.steps, closing=words is not None)
    lesson = _Lesson(teacher, student, matching, words, inputs, config)
    plan = Plan(
        "distil-general",
        _rounds([len(row) for row in inputs.ids], config, stages, seed),
        config.schedule,
        seed,
        stages=[part.stage(stride, config.lower_rate) for part in stages] if len(stages) > 1 else (),
        precision=config.precision,
    )
    pair = nn.ModuleList([student, matching])
    losses = [lesson.loss_of(part) for part in stages]
    facts: dict[str, Any] = {}
    if words is None:
        outcome = train(plan, pair, losses, path)
    else:
        outcome = train(plan, nn.ModuleList([*pair, words]), losses, path.with_stem(f"{path.stem}-with-words"))
        checkpoint.save(path, {"model": pair.state_dict()})
        distributed.wait()
        found = guessed(student, words, inputs.dev, inputs.pad_id, seed)
        facts = {"masked": {"weight": config.masked_weight, "share": config.masked, "dev": found}}
    if plan.stages:
        facts["lower_rate"], facts["stages"] = config.lower_rate, _told(stages, stride, outcome)
    texts = {"texts": len(inputs.ids), "tokens": sum(map(len, inputs.ids)), "steps": plan.steps}
    return matching, {**texts, **outcome.facts(), **facts}


@dataclass(frozen=True, slots=True)
class _Lesson:
    teacher: Teacher
    student: Student
    matching: Matching
    words: WordHead | None
    inputs: GeneralInputs
    config: GeneralConfig

    def loss_of(self, part: Part) -> LossOf:
        """Return the loss of one stage; only where everything learns are tokens hidden."""
        words = self.words if part.whole else None
        compared = None if part.whole else part.compared

        def loss(rows: Rows) -> tuple[Tensor, int]:
            batch = collate(self.inputs.ids, rows, self.inputs.pad_id)
            mask = batch.attention_mask
            read, chosen = (batch.input_ids, None) if words is None else words.cloze.hide(batch)
            guide = self._guide(read, mask)
            out = self.student(read, mask)
            total = torch.zeros((), device=mask.device)
            if guide is not None:
                total = total + self.config.hidden_weight * self.matching.hidden_loss(out, guide, mask, compared)
                total = total + self.config.attention_weight * attention_loss(out, guide, mask, compared)
            if words is not None and chosen is not None:
                guesses = words.loss(self.student, out.hidden[-1], batch, chosen)
                total = total + self.config.masked_weight * guesses
            return total, int(mask.sum())

        return loss

    @torch.no_grad()
    def _guide(self, read: Tensor, mask: Tensor) -> Guidance | None:
        if not (self.config.hidden_weight or self.config.attention_weight):
            return None
        geometry = self.student.config
        return guidance(self.teacher(read, mask, details=True), geometry.layers, geometry.heads)


def _rounds(lengths: Sequence[int], config: GeneralConfig, stages: Sequence[Part], seed: int) -> list[list[list[int]]]:
    batches: list[list[int]] = []
    epoch = 0
    while len(batches) < config.steps:
        batches += epoch_batches(lengths, config.batch_size, seed, epoch)
        epoch += 1
    rounds: list[list[list[int]]] = []
    start = 0
    for part in stages:
        end = start + part.steps
        rounds += [batches[i : min(end, i + config.round_steps)] for i in range(start, end, config.round_steps)]
        start = end
    return rounds


def _told(stages: Sequence[Part], stride: int, outcome: Outcome) -> list[dict[str, Any]]:
    """Each stage's layers, steps and smoothed loss at its end; losses of different stages are of different states."""
    found: list[dict[str, Any]] = []
    end = 0
    for part in stages:
        end += part.steps
        known = [loss for step, loss in outcome.curve if step <= end]
        layers = [1, stages[-1].last * stride] if part.whole else list(part.layers(stride))
        found.append({"layers": layers, "steps": part.steps, "loss": known[-1] if known else None})
    return found


def _refused(key: str, why: str) -> RefusedError:
    return RefusedError(
        "train.config",
        f"The configuration cannot be used: general: {key}: {why}.",
        hint="Correct that key and start again.",
    )
