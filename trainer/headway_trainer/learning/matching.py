"""What distillation compares besides logits: hidden states through a learned projection, and attention.

Student layer `i` of `n` follows teacher layer `i·N/n` wherever that is a whole number, so a student may be deeper than
its teacher; layer 0 is the embedding. Where the teacher has more heads, the student's head follows the mean of its
share of them, which is again a distribution. Padding counts nowhere.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from headway.contract.errors import RefusedError
from headway_trainer.models.student import StudentOutput
from headway_trainer.models.teacher import TeacherOutput


@dataclass(frozen=True, slots=True)
class Guidance:
    """The teacher's side for one batch: hidden [n, points+1, t, width], attentions [n, points, heads, t, t]."""

    hidden: Tensor
    attentions: Tensor


def points(layers: int, depth: int) -> int:
    """Return how many layers of a student of `layers` have a layer to follow in a teacher of `depth`."""
    return math.gcd(layers, depth)


def check_geometry(layers: int, heads: int, depth: int, width: int) -> None:
    """Return if a teacher of `depth` layers and `width` heads can guide a student of `layers` and `heads`.

    Raises `RefusedError` (`train.geometry`) where no layer but the last would be followed, or where the teacher's heads
    are no multiple of the student's.
    """
    if (points(layers, depth) == 1 and layers > 1) or width % heads:
        raise RefusedError(
            "train.geometry",
            f"A teacher of {depth} layers and {width} heads cannot guide {layers} layers and {heads} heads.",
            hint="Choose layers with a divisor in common with the teacher's, and heads that divide the teacher's.",
        )


def guidance(out: TeacherOutput, layers: int, heads: int) -> Guidance:
    """Pick the layers and group the heads a student of `layers` and `heads` follows.

    Raises `RefusedError` (`train.geometry`) as `check_geometry` does.
    """
    depth, width = len(out.attentions), out.attentions[0].shape[1]
    check_geometry(layers, heads, depth, width)
    followed = points(layers, depth)
    stride = depth // followed
    hidden = torch.stack([out.hidden[stride * i] for i in range(followed + 1)], dim=1)
    chosen = torch.stack([out.attentions[stride * i - 1] for i in range(1, followed + 1)], dim=1)
    texts, _, _, rows, columns = chosen.shape
    return Guidance(hidden, chosen.reshape(texts, followed, heads, width // heads, rows, columns).mean(3))


class Matching(nn.Module):
    """One projection per compared state, the embedding and `layers` others, to the teacher's width; and both losses."""

    def __init__(self, layers: int, student_width: int, teacher_width: int) -> None:
        super().__init__()
        self.projections = nn.ModuleList(nn.Linear(student_width, teacher_width) for _ in range(layers + 1))
        for projection in self.projections:
            nn.init.eye_(projection.weight)  # type: ignore[arg-type]
            nn.init.zeros_(projection.bias)  # type: ignore[arg-type]

    def hidden_loss(
        self, out: StudentOutput, guide: Guidance, mask: Tensor, compared: Sequence[int] | None = None
    ) -> Tensor:
        """Mean squared error of the projected states, in units of the teacher's variance, mean over the layers.

        `compared` are the states that count, by number, 0 being the embedding; all of them if it is not given.
        """
        kept = mask.bool()
        stride = (len(out.hidden) - 1) // (guide.hidden.shape[1] - 1)
        losses = []
        for index in range(len(self.projections)) if compared is None else compared:
            projection = self.projections[index]
            wanted = guide.hidden[:, index][kept].to(torch.float32)
            found = projection(out.hidden[stride * index][kept])
            losses.append((found - wanted).square().mean() / wanted.var().clamp_min(1e-6))
        return torch.stack(losses).mean()


def attention_loss(out: StudentOutput, guide: Guidance, mask: Tensor, compared: Sequence[int] | None = None) -> Tensor:
    """KL divergence of the student's attention from the teacher's, mean over layers, heads and the text's tokens.

    `compared` as in `Matching.hidden_loss`; the embedding attends to nothing.
    """
    rows = mask.to(torch.float32)[:, None, None, :]
    wanted = guide.attentions.to(torch.float32)
    stride = len(out.attentions) // wanted.shape[1]
    found = torch.stack(out.attentions[stride - 1 :: stride], dim=1).to(torch.float32)
    if compared is not None:
        chosen = [index - 1 for index in compared if index]
        wanted, found = wanted[:, chosen], found[:, chosen]
    divergence = wanted * (wanted.clamp_min(1e-6).log() - found.clamp_min(1e-6).log())
    per_row = divergence.sum(-1) * rows
    return per_row.sum() / (rows.sum() * wanted.shape[1] * wanted.shape[2])
