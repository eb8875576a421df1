"""An exponential moving average of the weights: steadier on small data than the weights of the last step."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn


class Average:
    """Follows a module's parameters; young averages follow faster, so that the start is forgotten."""

    def __init__(self, module: nn.Module, decay: float, held: dict[str, Any] | None = None) -> None:
        """Start at the module's weights, or at the `state` of a checkpoint; `decay` 0 keeps no average."""
        self.decay = decay
        self._updates: int = held["updates"] if held else 0
        known = held["weights"] if held else {}
        weights = {
            n: known.get(n, value).detach().to(value.device, copy=True) for n, value in module.named_parameters()
        }
        self.weights: dict[str, Tensor] = weights if decay else {}

    @property
    def state(self) -> dict[str, Any]:
        """What a checkpoint must hold to go on."""
        return {"updates": self._updates, "weights": self.weights}

    @torch.no_grad()
    def update(self, module: nn.Module) -> None:
        """Move towards the module's weights by one step."""
        if self.decay:
            self._updates += 1
            follow = 1 - min(self.decay, (1 + self._updates) / (10 + self._updates))
            for name, value in module.named_parameters():
                self.weights[name].lerp_(value, follow)

    @contextmanager
    def applied(self, module: nn.Module) -> Iterator[None]:
        """Give the module the averaged weights for a while."""
        own = {name: value.detach().clone() for name, value in module.named_parameters()} if self.decay else {}
        _set(module, self.weights)
        try:
            yield
        finally:
            _set(module, own)


@torch.no_grad()
def _set(module: nn.Module, weights: dict[str, Tensor]) -> None:
    if weights:
        for name, value in module.named_parameters():
            value.copy_(weights[name])
