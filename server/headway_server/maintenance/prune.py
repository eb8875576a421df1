"""Forget old single outcomes: after ``outcomes_keep_days`` only the counters remain, which is all that anyone reads.

No decision and no report changes by it. An event is kept one by one at least as long as any rollout of its app may ask
when exactly it came (the longest ``silent_after_s``). What is given up: the same event sent again later than that would
count again; devices send a report that was not answered for far shorter.
"""

from __future__ import annotations

from dataclasses import dataclass

from headway_server.delivery.decide import Policy
from headway_server.ports import Ports, Transaction

DAY_S, HOUR_S = 86_400, 3_600
AT_ONCE = 10_000
"""Events per transaction, so that devices which report meanwhile never wait long."""


@dataclass(frozen=True, slots=True)
class Pruned:
    """How many single events of an app were (or would be) forgotten, all received before ``before``."""

    app: str
    before: int
    events: int


def prune(ports: Ports, *, dry_run: bool = False) -> tuple[Pruned, ...]:
    """Forget old outcomes in every app."""
    with ports.database.read() as tx:
        apps = [record.app for record in tx.apps.all()]
    return tuple(_prune_app(ports, app, dry_run=dry_run) for app in apps)


def _prune_app(ports: Ports, app: str, *, dry_run: bool) -> Pruned:
    with ports.database.read() as tx:
        before = _before(ports, tx, app)
        if dry_run:
            return Pruned(app, before, tx.outcomes.older_than(app, before))
    gone = 0
    while True:
        with ports.database.write() as tx:
            some = tx.outcomes.prune(app, before, AT_ONCE)
        gone += some
        if some < AT_ONCE:
            break
    with ports.database.write() as tx:
        tx.outcomes.fold(app, before)
    return Pruned(app, before, gone)


def _before(ports: Ports, tx: Transaction, app: str) -> int:
    """The start of an hour: counters are by the hour, so an hour goes as a whole."""
    asked = max((Policy(**record.policy).silent_after_s for record in tx.rollouts.all(app)), default=0)
    keep_s = max(ports.settings.outcomes_keep_days * DAY_S, asked)
    return (ports.clock() - keep_s) // HOUR_S * HOUR_S
