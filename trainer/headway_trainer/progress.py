"""Saying where a long step is: rate, loss and time left, one line at a time, and the curve for the facts."""

from __future__ import annotations

import math
import sys
import time
from dataclasses import dataclass, field
from typing import TextIO

from headway.contract.errors import RefusedError


@dataclass
class Progress:
    """Counts steps of one training loop and prints a line every `every_s` seconds."""

    step_name: str
    total: int
    done: int = 0
    every_s: float = 15.0
    stream: TextIO = sys.stderr
    curve: list[tuple[int, float]] = field(default_factory=list)

    def __post_init__(self) -> None:
        """Start the clock at the first step of this process, which after a resume is not step 0."""
        self._started = self._printed = time.monotonic()
        self._first = self.done
        self._tokens = 0
        self._mean: float | None = None

    def advance(self, loss: float, tokens: int) -> None:
        """Record one optimiser step. Raises `RefusedError` (`train.diverged`) if the loss is no number."""
        if not math.isfinite(loss):
            raise RefusedError(
                "train.diverged",
                f"The loss of {self.step_name} is {loss} at step {self.done + 1}.",
                hint="Lower the learning rate of that step; its last checkpoint is as it was.",
            )
        self.done += 1
        self._tokens += tokens
        self._mean = loss if self._mean is None else 0.95 * self._mean + 0.05 * loss
        now = time.monotonic()
        if now - self._printed >= self.every_s or self.done == self.total:
            self._printed = now
            self.curve.append((self.done, round(self._mean, 5)))
            self._print(now - self._started)

    def _print(self, elapsed_s: float) -> None:
        left_s = elapsed_s / (self.done - self._first) * (self.total - self.done)
        rate = self._tokens / max(elapsed_s, 1e-9)
        line = (
            f"{time.strftime('%H:%M:%S')} {self.step_name} {self.done}/{self.total}"
            f" loss {self._mean:.4f} {rate:.0f} tokens/s ETA {left_s / 60:.1f} min"
        )
        print(line, file=self.stream, flush=True)
