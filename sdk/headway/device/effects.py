"""What the machine orders its edge to do, as frozen values. ``Save`` always comes first (rule 3)."""

from __future__ import annotations

from dataclasses import dataclass

from headway.contract.digests import Digest
from headway.device.state import Generation, HeldRelease


@dataclass(frozen=True, slots=True)
class Save:
    """Make the new state durable before anything else happens."""


@dataclass(frozen=True, slots=True)
class Refresh:
    """Refresh trust and read the channel."""


@dataclass(frozen=True, slots=True)
class Download:
    """Fetch the target's manifest and files into its folder."""

    release: HeldRelease


@dataclass(frozen=True, slots=True)
class Verify:
    """Check the target's exact file set, every digest, and the model."""

    release: HeldRelease


@dataclass(frozen=True, slots=True)
class Load:
    """Load this head for predictions: its pending mark is saved."""

    head: HeldRelease | Generation


@dataclass(frozen=True, slots=True)
class Judge:
    """Run the health judge over the tried head. ``vouched``: the app has agreed already; else it is asked."""

    release: HeldRelease
    vouched: bool = False


@dataclass(frozen=True, slots=True)
class Leave:
    """Unload this head and remove what no slot names, then say ``Settled``."""

    head: Digest


@dataclass(frozen=True, slots=True)
class Collect:
    """Remove files that no slot names any more."""


@dataclass(frozen=True, slots=True)
class Train:
    """Train a candidate from this head."""

    start: HeldRelease | Generation
    number: int


@dataclass(frozen=True, slots=True)
class JudgeCandidate:
    """Judge the candidate against the head that runs now."""

    candidate: Generation


@dataclass(frozen=True, slots=True)
class Rebase:
    """Carry ``personal`` over to ``release`` by ``policy``."""

    personal: Generation
    release: HeldRelease
    policy: str
    number: int


@dataclass(frozen=True, slots=True)
class CancelTraining:
    """Stop training that is under way: its result is no longer wanted."""


Effect = (
    Save
    | Refresh
    | Download
    | Verify
    | Load
    | Judge
    | Leave
    | Collect
    | Train
    | JudgeCandidate
    | Rebase
    | CancelTraining
)
