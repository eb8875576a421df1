"""Step `distil-task`: `α·T²·KL + (1 − α)·CE` on the labelled rows, with hidden-state and attention matching.

The teacher runs once over all rows and its answers are kept in memory, so that every epoch costs the student alone.
Rows without a label (pieces of training texts) take part with the teacher's answers only, rows that the teacher was
not asked about with their label only. The student reads its
inputs with a few tokens masked out, the teacher read them whole. With several sets a batch comes from one of them and
compares that set's columns of the classifier.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from headway_trainer.data.batches import collate, masked, ordered_batches
from headway_trainer.data.examples import UNLABELLED, Examples
from headway_trainer.data.mixing import Mixture, Scored
from headway_trainer.evaluate import Accuracy, mean_of
from headway_trainer.learning import checkpoint, distributed, scoring
from headway_trainer.learning.answers import Answers
from headway_trainer.learning.distributed import Exchange, Precision, Rows
from headway_trainer.learning.loop import Plan, train
from headway_trainer.learning.matching import Matching, attention_loss
from headway_trainer.learning.optimiser import Schedule
from headway_trainer.models.student import Student


@dataclass(frozen=True, slots=True)
class TaskConfig:
    """`alpha` weighs the teacher against the labels; `masked` is the share of tokens hidden from the student.

    `average` is the decay of the moving average of the weights, 0 for none. `start_share` is how much of the weights
    that the step began with is in those it ends with: where a student is trained further, the mean of before and
    after can be better than either (WiSE-FT, Wortsman et al. 2022). An epoch has `round_steps` batches, with 0 as
    many as the rows fill. Several processes share each batch and exchange gradients; or they share out the batches, and
    exchange weights at the end of an epoch, going on from the mean (local SGD, Stich 2019; with one epoch a soup,
    Wortsman et al. 2022).
    """

    epochs: int = 6
    batch_size: int = 32
    round_steps: int = 0
    alpha: float = 0.6
    temperature: float = 2.0
    hidden_weight: float = 0.3
    attention_weight: float = 0.3
    masked: float = 0.1
    patience: int | None = None
    average: float = 0.0
    start_share: float = 0.0
    precision: Precision = "float32"
    exchange: Exchange = "gradients"
    schedule: Schedule = field(default_factory=lambda: Schedule(learning_rate=1e-3))


@dataclass(frozen=True, slots=True)
class TaskInputs:
    """Training rows, the answers to `answered` of them, dev rows of each set, ids of padding and of the mask token."""

    train: Mixture
    answers: Answers
    answered: int
    dev: Sequence[Scored]
    pad_id: int
    mask_id: int


def distil_task(
    student: Student, matching: Matching, inputs: TaskInputs, config: TaskConfig, seed: int, path: Path, name: str
) -> dict[str, Any]:
    """Train `student` in place, keep its best epoch on dev, return the facts. Also the loop of step `qat`."""
    labels = torch.tensor(inputs.train.rows.labels)

    def loss_of(rows: Rows) -> tuple[Tensor, int]:
        batch = collate(inputs.train.rows.ids, rows, inputs.pad_id)
        mask, span = batch.attention_mask, inputs.train.span(rows)
        out = student(masked(batch, config.masked, inputs.mask_id), mask)
        own, told = out.logits[:, span].to(torch.float32), inputs.answers.logits[batch.rows, span].to(mask.device)
        loss = label_loss(own, told, labels[batch.rows].to(mask.device), config)
        if config.hidden_weight or config.attention_weight:
            guide = inputs.answers.guidance(rows, mask.shape[1])
            loss = loss + config.hidden_weight * matching.hidden_loss(out, guide, mask)
            loss = loss + config.attention_weight * attention_loss(out, guide, mask)
        return loss, int(mask.sum())

    rounds: Sequence[Sequence[Rows]] = inputs.train.rounds(config.batch_size, config.epochs, seed, config.round_steps)
    if config.exchange == "weights":
        rounds = [distributed.own_batches(batches) for batches in rounds]
    plan = Plan(
        name,
        rounds,
        config.schedule,
        seed,
        config.patience,
        config.average,
        precision=config.precision,
        exchange=config.exchange,
    )

    def score() -> float:
        return mean_of([correct(student, rows, inputs.pad_id, span) for rows, span in inputs.dev])

    pair = nn.ModuleList([student, matching])
    if not config.start_share:
        return train(plan, pair, loss_of, path, score).facts()
    began = {name: value.detach().clone() for name, value in pair.named_parameters()}
    # A resumed step must find what was trained, not the mean, or it would move towards its start twice.
    facts = train(plan, pair, loss_of, path.with_name("trained.pt"), score).facts()
    towards(pair, began, config.start_share)
    checkpoint.save(path, {"model": pair.state_dict()})
    distributed.wait()
    return {**facts, "with_its_start": distributed.agreed(partial(float, score()))}


@torch.no_grad()
def towards(module: nn.Module, began: Mapping[str, Tensor], share: float) -> None:
    """Move the module's weights by `share` of the way back to those it began with."""
    for name, value in module.named_parameters():
        value.lerp_(began[name], share)


def soft_loss(found: Tensor, wanted: Tensor, temperature: float) -> Tensor:
    """Return `T²·KL(teacher ‖ student)` at temperature T, mean over the rows (Hinton et al. 2015)."""
    target = functional.log_softmax(wanted / temperature, dim=1)
    given = functional.log_softmax(found / temperature, dim=1)
    return temperature**2 * functional.kl_div(given, target, reduction="batchmean", log_target=True)


def label_loss(found: Tensor, told: Tensor, labels: Tensor, config: TaskConfig) -> Tensor:
    """Return `α·T²·KL + (1 − α)·CE` of logits [n, K]; where `told` holds no numbers, the label counts in full."""
    asked, kept = told[:, 0].isfinite(), labels != UNLABELLED
    loss = found.sum() * 0.0
    if bool(asked.any()):
        loss = loss + config.alpha * asked.float().mean() * soft_loss(found[asked], told[asked], config.temperature)
    if bool(kept.any()):
        hard = functional.cross_entropy(found[kept], labels[kept], reduction="none")
        loss = loss + (hard * (1 - config.alpha * asked[kept].float())).mean()
    return loss


@torch.no_grad()
def predictions(student: Student, ids: Sequence[Sequence[int]], pad_id: int) -> tuple[Tensor, Tensor]:
    """Return features float32 [rows, D] and logits [rows, K] in row order, without padding to full length."""
    student.eval()
    features = torch.empty(len(ids), student.config.feature_dimension)
    logits = torch.empty(len(ids), student.classifier.out_features)
    for rows in ordered_batches([len(row) for row in ids], 64):
        batch = collate(ids, rows, pad_id)
        out = student(batch.input_ids, batch.attention_mask)
        features[batch.rows] = out.features.to("cpu", torch.float32)
        logits[batch.rows] = out.logits.to("cpu", torch.float32)
    return features, logits


def correct(student: Student, examples: Examples, pad_id: int, span: slice) -> Accuracy:
    """Return how many rows the columns `span` of the student's own classifier label rightly."""
    return scoring.correct(lambda ids: predictions(student, ids, pad_id)[1], examples, span)
