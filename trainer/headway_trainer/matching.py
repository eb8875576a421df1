"""What distillation compares besides logits: hidden states through a learned projection, and attention.

Student layer `i` of `n` follows teacher layer `i·N/n`; layer 0 is the embedding. Where the teacher has more heads, the
student's head follows the mean of its share of them, which is again a distribution. Padding counts nowhere.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from headway.contract.errors import RefusedError
from headway_trainer.models.student import StudentOutput
from headway_trainer.models.teacher import TeacherOutput


@dataclass(frozen=True, slots=True)
class Guidance:
    """The teacher's side for one batch: hidden [n, layers+1, t, width], attentions [n, layers, heads, t, t]."""

    hidden: Tensor
    attentions: Tensor


def guidance(out: TeacherOutput, layers: int, heads: int) -> Guidance:
    """Pick the layers and group the heads a student of `layers` and `heads` follows.

    Raises `RefusedError` (`train.geometry`) where the teacher's numbers are no multiples of the student's.
    """
    depth, width = len(out.attentions), out.attentions[0].shape[1]
    if depth % layers or width % heads:
        raise RefusedError(
            "train.geometry",
            f"A teacher of {depth} layers and {width} heads cannot guide {layers} layers and {heads} heads.",
            hint="Choose numbers for the student that divide the teacher's.",
        )
    stride = depth // layers
    hidden = torch.stack([out.hidden[stride * i] for i in range(layers + 1)], dim=1)
    chosen = torch.stack([out.attentions[stride * i - 1] for i in range(1, layers + 1)], dim=1)
    texts, _, _, rows, columns = chosen.shape
    return Guidance(hidden, chosen.reshape(texts, layers, heads, width // heads, rows, columns).mean(3))


class Matching(nn.Module):
    """One projection per compared state, from the student's width to the teacher's, and both losses."""

    def __init__(self, layers: int, student_width: int, teacher_width: int) -> None:
        super().__init__()
        self.projections = nn.ModuleList(nn.Linear(student_width, teacher_width) for _ in range(layers + 1))
        for projection in self.projections:
            nn.init.eye_(projection.weight)  # type: ignore[arg-type]
            nn.init.zeros_(projection.bias)  # type: ignore[arg-type]

    def hidden_loss(self, out: StudentOutput, guide: Guidance, mask: Tensor) -> Tensor:
        """Mean squared error of the projected states, in units of the teacher's variance, mean over the layers."""
        kept = mask.bool()
        losses = []
        for index, projection in enumerate(self.projections):
            wanted = guide.hidden[:, index][kept].to(torch.float32)
            found = projection(out.hidden[index][kept])
            losses.append((found - wanted).square().mean() / wanted.var().clamp_min(1e-6))
        return torch.stack(losses).mean()


def attention_loss(out: StudentOutput, guide: Guidance, mask: Tensor) -> Tensor:
    """KL divergence of the student's attention from the teacher's, mean over layers, heads and the text's tokens."""
    rows = mask.to(torch.float32)[:, None, None, :]
    wanted = guide.attentions.to(torch.float32)
    found = torch.stack(out.attentions, dim=1)
    divergence = wanted * (wanted.clamp_min(1e-6).log() - found.clamp_min(1e-6).log())
    per_row = divergence.sum(-1) * rows
    return per_row.sum() / (rows.sum() * wanted.shape[1] * wanted.shape[2])
