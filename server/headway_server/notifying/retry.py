"""After an attempt: delivered, again later, or dead? One pure function.

Waits grow threefold up to a limit, each shortened by up to half: the share comes from the message and the attempt, so
that messages which failed together do not come back together, and a test sees the same waits each time.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

_GROWTH = 3
_GONE = 410
"""The receiver says it is gone for good (RFC 9110 §15.5.11): asking again is no use."""


@dataclass(frozen=True, slots=True)
class Reply:
    """What came of one attempt: a status, or why there was none."""

    status: int | None
    error: str | None = None


@dataclass(frozen=True, slots=True)
class RetryPolicy:
    """How often and how long to try. Times in seconds."""

    attempts: int
    first_wait_s: int
    most_wait_s: int


@dataclass(frozen=True, slots=True)
class Verdict:
    """What becomes of a delivery: its state, and when it is due or was finished."""

    state: str
    next_at: int
    finished_at: int | None
    error: str | None


def judge(reply: Reply, message: str, attempts: int, now: int, policy: RetryPolicy) -> Verdict:
    """Decide about a delivery after its ``attempts``-th attempt. Any status from 200 to 299 means it was taken."""
    if reply.status is not None and 200 <= reply.status < 300:
        return Verdict("delivered", now, now, None)
    error = reply.error or f"answered {reply.status}"
    if reply.status == _GONE or attempts >= policy.attempts:
        return Verdict("dead", now, now, error)
    return Verdict("pending", now + wait_s(message, attempts, policy), None, error)


def wait_s(message: str, attempts: int, policy: RetryPolicy) -> int:
    """Seconds to wait after the ``attempts``-th attempt, at least one."""
    # No wait is longer than most_wait_s, so a power beyond it needs no big number.
    full = min(policy.most_wait_s, policy.first_wait_s * _GROWTH ** min(attempts - 1, 40))
    share = hashlib.sha256(f"{message}/{attempts}".encode()).digest()[0] / 256
    return max(1, int(full * (1 - share / 2)))
