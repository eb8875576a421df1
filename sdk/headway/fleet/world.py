"""Simulated time and chance, seeded: what a fleet's devices take for the clock and for luck.

Time only moves when the run moves it, so a rehearsal of two days takes seconds and is the same every time.
"""

from __future__ import annotations

import random
from dataclasses import dataclass

from headway.device.ports import Conditions


@dataclass(slots=True)
class SimulatedClock:
    """A `headway.device.ports.Clock` for the whole fleet. ``start`` is seconds since 1970, ``elapsed`` since then."""

    start: float
    elapsed: float = 0.0

    def now(self) -> float:
        """Simulated seconds since 1970."""
        return self.start + self.elapsed

    def monotonic(self) -> float:
        """Simulated seconds since the run began."""
        return self.elapsed

    def advance_to(self, at_s: float) -> None:
        """Move forward to ``at_s`` seconds after the start; never backwards."""
        self.elapsed = max(self.elapsed, at_s)


class SeededRandomness:
    """A `headway.device.ports.Randomness` that gives one device the same luck in every run."""

    def __init__(self, seed: str) -> None:
        self._rng = random.Random(f"device:{seed}")

    def token(self, length: int) -> bytes:
        """``length`` bytes; predictable, which is the point here and would be a fault in an app."""
        return self._rng.randbytes(length)

    def uniform(self) -> float:
        """A number in [0, 1)."""
        return self._rng.random()


@dataclass(slots=True)
class DayAndNight:
    """A `headway.device.ports.Power`: at night a phone lies on its charger, by day it is in use."""

    night: bool = False

    def conditions(self) -> Conditions:
        """Idle and charging at night only."""
        return Conditions(idle=self.night, charging=self.night)
