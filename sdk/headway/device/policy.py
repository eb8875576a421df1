"""When to poll and when heavy work is welcome: pure functions of numbers given to them.

Devices must not all come at once after an outage or a release, so every wait has jitter; and a server that asks for
quiet gets it, for a day at most.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from headway.contract.parsing import Fields
from headway.device.ports import Conditions

DAY_S = 86_400


@dataclass(frozen=True, slots=True)
class PollPolicy:
    """Seconds. ``interval_s`` holds until a channel document says otherwise (``poll_after_s``)."""

    interval_s: int = 6 * 3600
    retry_s: int = 60
    max_wait_s: int = DAY_S


@dataclass(frozen=True, slots=True)
class Schedule:
    """When the next poll is due (seconds since 1970), after how many failures in a row, at which interval."""

    next_s: int
    interval_s: int
    failures: int = 0

    def to_json(self) -> dict[str, object]:
        """The JSON object; inverse of :meth:`from_json`."""
        return {"schema": 1, "next_s": self.next_s, "interval_s": self.interval_s, "failures": self.failures}

    @classmethod
    def from_json(cls, fields: Fields) -> Schedule:
        """Read a schedule.

        Raises:
            RefusedError: code ``malformed``.
        """
        fields.schema(1)
        return cls(fields.integer("next_s"), fields.integer("interval_s", low=1), fields.integer("failures"))


def first_poll(policy: PollPolicy, now_s: int, chance: float) -> Schedule:
    """A new install polls at 0.1 to 0.9 of the interval; ``chance`` is uniform in [0, 1)."""
    return Schedule(now_s + int(policy.interval_s * (0.1 + 0.8 * chance)), policy.interval_s)


def after_success(policy: PollPolicy, poll_after_s: int | None, now_s: int, chance: float) -> Schedule:
    """The next poll: one interval on, give or take a tenth."""
    interval = min(poll_after_s or policy.interval_s, 30 * DAY_S)
    return Schedule(now_s + int(interval * (0.9 + 0.2 * chance)), interval)


def after_failure(
    policy: PollPolicy, schedule: Schedule, now_s: int, retry_after_s: int | None, chance: float
) -> Schedule:
    """Exponential backoff with full jitter over its upper half; at least what the server asked for, within a day."""
    doubled = policy.retry_s * 2 ** min(schedule.failures, 20)
    wait = min(doubled, policy.max_wait_s) * (0.5 + 0.5 * chance)
    wait = max(wait, min(retry_after_s or 0, DAY_S))
    return replace(schedule, next_s=now_s + int(wait), failures=schedule.failures + 1)


def is_due(schedule: Schedule, now_s: int) -> bool:
    """Whether to poll now. A wait longer than any real one means that the clock was wrong: poll."""
    longest = max(schedule.interval_s * 2, DAY_S)
    return now_s >= schedule.next_s or schedule.next_s - now_s > longest


@dataclass(frozen=True, slots=True)
class HeavyWorkPolicy:
    """When to train. ``min_samples`` counts corrections; ``thermal`` is the warmest state in which to begin."""

    min_samples: int = 50
    needs_idle: bool = True
    needs_charging: bool = True
    thermal: int = 1
    min_free_bytes: int = 20 * 2**20


def why_not_train(policy: HeavyWorkPolicy, conditions: Conditions, samples: int, free_bytes: int) -> str | None:
    """The first reason code against training now, or None."""
    if samples < policy.min_samples:
        return "too_few_samples"
    return why_not_work(policy, conditions, free_bytes)


def why_not_work(policy: HeavyWorkPolicy, conditions: Conditions, free_bytes: int) -> str | None:
    """The first reason code against any heavy work now, or None."""
    if policy.needs_idle and not conditions.idle:
        return "not_idle"
    if policy.needs_charging and not conditions.charging:
        return "not_charging"
    if conditions.thermal > policy.thermal:
        return "too_warm"
    return "disk_low" if free_bytes < policy.min_free_bytes else None
