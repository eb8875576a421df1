"""Shall a rollout advance, hold or halt? One pure function of its state, what devices reported, and the time.

It counts *confirmed* against *rolled back*, never installations: an installed head has proven nothing. A bound, not
the raw rate, decides to halt, so that one failure in a small group is no verdict; and silence is never health: devices
that installed and then neither confirmed nor rolled back hold a rollout, as too few confirmations do. A release that
no device may take any more (revoked, recalled, gone from signed metadata) is halted whatever was reported.

Rates are permyriad (1/10,000). The bound is Wilson's score interval, one-sided
(Wilson 1927, doi:10.1080/01621459.1927.10502953).
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from math import sqrt
from typing import Literal

from headway.contract.errors import malformed
from headway.contract.parsing import Fields

Action = Literal["advance", "hold", "halt", "complete", "wait"]

_WITHDRAWN = {
    "revoked": "The publisher revoked the release.",
    "recalled": "The release was recalled on this channel.",
}

MAX_STAGES = 20
MAX_SOAK_S = 90 * 86_400


@dataclass(frozen=True, slots=True)
class Stage:
    """A share of devices, how long it must be watched, and how many confirmations it needs before the next."""

    permyriad: int
    soak_s: int
    min_confirmed: int

    @classmethod
    def from_json(cls, fields: Fields) -> Stage:
        """Read a stage.

        Raises:
            RefusedError: code ``malformed``.
        """
        return cls(
            fields.integer("permyriad", high=10_000),
            fields.integer("soak_s", high=MAX_SOAK_S),
            fields.integer("min_confirmed", low=1, high=10**9),
        )


@dataclass(frozen=True, slots=True)
class Policy:
    """What counts as healthy.

    ``max_failed`` is the share of failures that is tolerable; ``min_reports`` how many devices must have reported
    before anything is halted; ``doubt`` the highest *upper* bound of the failure rate with which a stage may be left;
    ``silent_after_s`` how long a device may take from installing to confirming; ``max_silent`` the tolerable share of
    silent ones; ``z`` the quantile of the bounds in thousandths (1645: 95 %, one-sided).
    """

    max_failed: int = 500
    min_reports: int = 3
    doubt: int = 5_000
    silent_after_s: int = 86_400
    max_silent: int = 5_000
    z: int = 1_645

    @classmethod
    def from_json(cls, fields: Fields) -> Policy:
        """Read a policy; what is missing has its default.

        Raises:
            RefusedError: code ``malformed``; also for a name it does not know, so that a slip is not ignored.
        """
        high = dict.fromkeys(asdict(cls()), 10_000) | {"min_reports": 10**6, "silent_after_s": MAX_SOAK_S, "z": 5_000}
        unknown = set(fields.names()) - set(high)
        if unknown:
            raise malformed("rollout policy", f"$.{min(unknown)}", "absent; known are " + ", ".join(high))
        return cls(**{name: fields.integer(name, low=int(name == "z"), high=high[name]) for name in fields.names()})


@dataclass(frozen=True, slots=True)
class RolloutState:
    """Where a rollout stands. ``state`` is running, held, halted, complete or yanked; times are whole seconds.

    ``release_state`` is what was said of the release itself: live, revoked, recalled (on this channel) or unlisted.
    """

    state: str
    held_by: str | None
    stages: tuple[Stage, ...]
    stage: int
    stage_started_at: int
    policy: Policy
    release_state: str


@dataclass(frozen=True, slots=True)
class Counts:
    """What devices reported of this release on this channel. ``installed_due``: long enough ago to have confirmed."""

    installed: int
    installed_due: int
    confirmed: int
    rolled_back: int


@dataclass(frozen=True, slots=True)
class Decision:
    """What to do, why (one sentence), and every number it rests on (integers, rates in permyriad)."""

    action: Action
    reason: str
    inputs: dict[str, int | str | None]


def decide(rollout: RolloutState, counts: Counts, now: int) -> Decision:
    """Decide about a rollout. Pure: equal arguments give an equal decision."""
    reports = counts.confirmed + counts.rolled_back
    silent = max(0, counts.installed_due - reports)
    failed_low, failed_high = bounds(counts.rolled_back, reports, rollout.policy.z)
    silent_low, _ = bounds(silent, counts.installed_due, rollout.policy.z)
    waited_s = max(0, now - rollout.stage_started_at)
    inputs: dict[str, int | str | None] = {
        "state": rollout.state,
        "held_by": rollout.held_by,
        "release_state": rollout.release_state,
        "stage": rollout.stage,
        "waited_s": waited_s,
        **asdict(counts),
        "silent": silent,
        "failed_low": failed_low,
        "failed_high": failed_high,
        "silent_low": silent_low,
        **{f"policy_{name}": value for name, value in asdict(rollout.policy).items()},
    }
    action, reason = _judged(rollout, counts, reports, failed_low, failed_high, silent_low, waited_s)
    return Decision(action, reason, inputs)


def _judged(
    rollout: RolloutState,
    counts: Counts,
    reports: int,
    failed_low: int,
    failed_high: int,
    silent_low: int,
    waited_s: int,
) -> tuple[Action, str]:
    policy = rollout.policy
    if rollout.state in ("halted", "yanked"):
        return "wait", f"The rollout is {rollout.state}; only a new release goes on."
    if rollout.release_state in _WITHDRAWN:
        return "halt", _WITHDRAWN[rollout.release_state]
    if rollout.release_state == "unlisted" and rollout.state != "complete":
        return "halt", "The release left signed metadata: no device can take it any more."
    if reports >= policy.min_reports and failed_low > policy.max_failed:
        return "halt", f"{counts.rolled_back} of {reports} devices rolled back: too many to be chance."
    if rollout.held_by == "operator":
        return "wait", "An operator holds the rollout."
    if silent_low > policy.max_silent:
        return _hold(rollout, "Too many devices installed it and then fell silent.")
    if counts.rolled_back * 10_000 > policy.max_failed * reports:
        return _hold(rollout, f"{counts.rolled_back} of {reports} devices rolled back: too many, but too few to judge.")
    if rollout.state == "complete":
        return "wait", "The rollout is complete and healthy."
    return _onward(rollout, counts, failed_high, waited_s)


def _hold(rollout: RolloutState, reason: str) -> tuple[Action, str]:
    return ("wait", reason + " It is held.") if rollout.state == "held" else ("hold", reason)


def _onward(rollout: RolloutState, counts: Counts, failed_high: int, waited_s: int) -> tuple[Action, str]:
    stage = rollout.stages[rollout.stage]
    if waited_s < stage.soak_s:
        return "wait", f"The stage soaks for another {stage.soak_s - waited_s} s."
    if counts.confirmed < stage.min_confirmed:
        return "wait", f"{counts.confirmed} of the {stage.min_confirmed} confirmations that the stage needs."
    if failed_high > rollout.policy.doubt:
        return "wait", "Too few reports to exclude a bad release."
    if rollout.stage + 1 < len(rollout.stages):
        return "advance", f"{counts.confirmed} devices confirmed it; on to the next stage."
    return "complete", f"{counts.confirmed} devices confirmed it in the last stage."


def bounds(hits: int, n: int, z_milli: int) -> tuple[int, int]:
    """Wilson's lower and upper bound of a rate, each one-sided at ``z_milli``/1000, in permyriad.

    Without any observation nothing is known: (0, 10,000). The lower bound is rounded down, the upper one up.
    """
    if n <= 0:
        return 0, 10_000
    z = z_milli / 1000
    rate, square = hits / n, z * z / n
    middle = (rate + square / 2) / (1 + square)
    half = z / (1 + square) * sqrt(rate * (1 - rate) / n + square / (4 * n))
    low, high = max(0.0, middle - half), min(1.0, middle + half)
    return int(low * 10_000), -int(-high * 10_000 // 1)
