"""Saying where a long step is: rate, loss and time left, and the curve for the facts.

On a terminal one line renews itself; elsewhere, as in a log file, a line appears now and then. The curve has a point
every so many steps, never every so many seconds: the same run gives the same curve on a busy machine.
"""

from __future__ import annotations

import math
import sys
import time
from dataclasses import dataclass, field
from typing import TextIO

from headway.contract.errors import RefusedError

POINTS = 200
"""Most points of a curve."""


def finite(loss: float, step_name: str, at: int) -> float:
    """Return the loss. Raises `RefusedError` (`train.diverged`) if it, or what was computed from it, is no number."""
    if not math.isfinite(loss):
        raise RefusedError(
            "train.diverged",
            f"The loss of {step_name} is {loss} at step {at}.",
            hint="Lower the learning rate of that step and start again with --resume: the steps before it are kept.",
        )
    return loss


@dataclass
class Progress:
    """Counts the optimiser steps of one training loop, and says where it is every `every_s` seconds.

    `mean` is the smoothed loss so far, which a resumed loop goes on with. The time left follows the steps, or, where
    some cost many times what others do and it is known how many `tokens` they have together, the tokens.
    """

    step_name: str
    total: int
    done: int = 0
    every_s: float = 15.0
    stream: TextIO = field(default_factory=lambda: sys.stderr)
    curve: list[tuple[int, float]] = field(default_factory=list)
    mean: float | None = None
    tokens: int | None = None

    def __post_init__(self) -> None:
        """Start the clock at the first step of this process, which after a resume is not step 0."""
        self._renews = self.stream.isatty()
        if self._renews:
            self.every_s = min(self.every_s, 0.5)
        self._started = self._printed = time.monotonic()
        self._first = self.done
        self._read = 0

    def advance(self, loss: float | None, tokens: int) -> None:
        """Record one optimiser step, or one batch of a pass that has no loss."""
        self.done += 1
        self._read += tokens
        if loss is not None:
            self.mean = loss if self.mean is None else 0.95 * self.mean + 0.05 * loss
            if self.done % max(1, math.ceil(self.total / POINTS)) == 0 or self.done == self.total:
                self.curve.append((self.done, round(self.mean, 5)))
        now = time.monotonic()
        if now - self._printed >= self.every_s or self.done == self.total:
            self._printed = now
            self._print(now - self._started)

    def _print(self, elapsed_s: float) -> None:
        done, total = (self._read, self.tokens) if self.tokens else (self.done - self._first, self.total - self._first)
        left_s = elapsed_s / done * (total - done)
        rate = self._read / max(elapsed_s, 1e-9)
        loss = "" if self.mean is None else f" loss {self.mean:.4f}"
        line = f"{self.step_name} {self.done}/{self.total}{loss} {rate:.0f} tokens/s ETA {duration(left_s)}"
        if self._renews:
            end = "\n" if self.done == self.total else ""
            print(f"\r\x1b[2K{line}", file=self.stream, end=end, flush=True)
        else:
            print(f"{time.strftime('%H:%M:%S')} {line}", file=self.stream, flush=True)


def duration(seconds: float) -> str:
    """Return a time span for a person: `45 s`, `12 min`, `3 h 05 min`."""
    if seconds < 90:
        return f"{seconds:.0f} s"
    minutes = round(seconds / 60)
    return f"{minutes} min" if minutes < 90 else f"{minutes // 60} h {minutes % 60:02d} min"
