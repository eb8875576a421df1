"""Weights on Core ML's int8 grid while training: what the exported package will hold is what training sees.

The grid is that of coremltools' `linear_quantize_weights` in mode linear_symmetric, one scale per output channel
(row): `scale = 2·max|w| / 254` and `q = clip(round(w / scale), −127, 127)` in float32, halves to even. The exporter is
given the latent weights, so both sides round the same numbers; `export.base` checks that every bit agrees.
Matrices are quantised: those of the linear layers and the word embeddings. Position embeddings become one small
constant that is added, not a matrix, and stay float32.
Rounding passes gradients straight through. Biases and the small vectors of NoNorm stay float32, as in the package.
"""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor, nn
from torch.nn.utils import parametrize

SMALLEST_QUANTISED = 2048
"""Weights with more elements than this are quantised, coremltools' own default threshold."""


def scales(weight: Tensor) -> Tensor:
    """Return the scale of each row of a matrix as float32 [rows, 1]."""
    return 2 * weight.abs().amax(dim=1, keepdim=True) / 254


def on_grid(weight: Tensor) -> Tensor:
    """Return the matrix as int8 and back: `q · scale`, float32, same shape."""
    scale = scales(weight)
    # Adding zero turns -0.0 into 0.0: an int8 has no negative zero.
    return torch.clamp(torch.round(weight / scale) + 0.0, -127, 127) * scale


class _Grid(nn.Module):
    def forward(self, weight: Tensor) -> Tensor:
        return weight + (on_grid(weight) - weight).detach() if self.training else on_grid(weight)


def quantised_modules(model: nn.Module) -> Iterator[tuple[str, nn.Module]]:
    """Yield the layers whose weight the exporter will quantise."""
    for name, module in model.named_modules():
        table = isinstance(module, nn.Embedding) and name.endswith("word_embeddings")
        if (table or isinstance(module, nn.Linear)) and module.weight.numel() > SMALLEST_QUANTISED:
            yield name, module


def attach(model: nn.Module) -> int:
    """Put every large weight of `model` on the grid from now on; returns how many there are."""
    found = list(quantised_modules(model))
    for _, module in found:
        parametrize.register_parametrization(module, "weight", _Grid())
    return len(found)


def detach(model: nn.Module) -> None:
    """Take the grid away again and leave the latent float32 weights, which is what the exporter needs."""
    for _, module in list(model.named_modules()):
        if parametrize.is_parametrized(module, "weight"):
            parametrize.remove_parametrizations(module, "weight", leave_parametrized=False)
