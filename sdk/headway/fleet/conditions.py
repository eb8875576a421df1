"""What a device's network does to it: named conditions, and which fault, if any, strikes the next request.

Pure and seeded: the same seed gives the same faults in the same order, whatever else runs.
"""

from __future__ import annotations

import random
from dataclasses import dataclass

from headway.contract.errors import RefusedError

NONE = "none"
FAULTS = ("refused", "truncated", "corrupted", "server_error", "captive_portal")


@dataclass(frozen=True, slots=True)
class Conditions:
    """One kind of network.

    Probabilities are per request, in percent; ``captive_first`` answers that many first requests with a login page;
    ``latency_s`` is added to each answer in simulated seconds.
    """

    name: str
    refused: int = 0
    truncated: int = 0
    corrupted: int = 0
    server_error: int = 0
    captive_first: int = 0
    latency_s: int = 0


CONDITIONS: dict[str, Conditions] = {
    "good": Conditions("good"),
    "slow": Conditions("slow", latency_s=20),
    "refused": Conditions("refused", refused=10),
    "truncated": Conditions("truncated", truncated=7),
    "corrupted": Conditions("corrupted", corrupted=7),
    "server_error": Conditions("server_error", server_error=10),
    "captive_portal": Conditions("captive_portal", captive_first=4),
}
"""The conditions a scenario may name."""


def conditions_named(name: str) -> Conditions:
    """The conditions called ``name``.

    Raises:
        RefusedError: code ``unknown_conditions``.
    """
    if name in CONDITIONS:
        return CONDITIONS[name]
    raise RefusedError(
        "unknown_conditions", f"There are no network conditions {name!r}.", hint="Use one of " + ", ".join(CONDITIONS)
    )


class Weather:
    """The faults that one device meets, in order, and how many of each it met."""

    def __init__(self, conditions: Conditions, seed: str) -> None:
        self._conditions = conditions
        self._rng = random.Random(f"weather:{seed}")
        self._requests = 0
        self.met: dict[str, int] = {}

    @property
    def name(self) -> str:
        """The conditions' name."""
        return self._conditions.name

    def next(self) -> str:
        """The fault that strikes the next request, or ``none``; it is counted."""
        self._requests += 1
        fault = self._draw()
        if fault != NONE:
            self.met[fault] = self.met.get(fault, 0) + 1
        return fault

    def _draw(self) -> str:
        conditions = self._conditions
        if self._requests <= conditions.captive_first:
            return "captive_portal"
        # One draw a request whatever the conditions, so that changing one probability moves no other device's luck.
        luck = self._rng.random() * 100
        for fault in ("refused", "truncated", "corrupted", "server_error"):
            share = getattr(conditions, fault)
            if luck < share:
                return fault
            luck -= share
        return NONE

    def position(self, length: int) -> int:
        """Where in ``length`` bytes a fault strikes: 0 … length - 1."""
        return self._rng.randrange(max(1, length))
