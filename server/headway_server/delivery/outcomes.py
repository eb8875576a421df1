"""Outcomes: what devices report, counted once each.

Devices have no account, so everything here is bounded and taken with care: an event counts only if it names a head
that this app really offered, an event id counts once, and one source can send only so much. Nothing that could
identify a device or a user is kept; the source address is never stored.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from headway.contract.errors import RefusedError
from headway.contract.outcome import Outcome
from headway_server.ports import Ports, Transaction
from headway_server.records import OutcomeRecord


@dataclass(frozen=True, slots=True)
class Tally:
    """What became of a batch. ``ignored`` events name nothing that this app offers."""

    accepted: int
    duplicate: int
    ignored: int


def report(ports: Ports, app: str, events: Sequence[Outcome]) -> Tally:
    """Count a batch of events.

    Raises:
        RefusedError: codes ``unknown_app``, ``too_many_events``.
    """
    if len(events) > ports.settings.outcomes_max_events:
        raise RefusedError(
            "too_many_events",
            f"The batch has {len(events)} events, more than {ports.settings.outcomes_max_events}.",
            hint="Send them in several batches.",
            kind="too_large",
        )
    with ports.database.read() as tx:
        if tx.apps.get(app) is None:
            raise RefusedError("unknown_app", f"There is no app {app}.", hint="Check the app's name.", kind="not_found")
        matched = _matched(tx, app, events, ports.clock())
    if not matched:
        return Tally(0, 0, len(events))
    with ports.database.write() as tx:
        added = tx.outcomes.add(matched)
    return Tally(added, len(matched) - added, len(events) - len(matched))


def _matched(tx: Transaction, app: str, events: Sequence[Outcome], now: int) -> list[OutcomeRecord]:
    known: dict[tuple[str, str, str, int, str], tuple[bool, str | None]] = {}
    matched: dict[str, OutcomeRecord] = {}
    repeated = []
    for event in events:
        what = (event.channel, event.base, event.name, event.release, event.head)
        if what not in known:
            known[what] = _rollout_of(tx, app, event)
        counts, rollout = known[what]
        if not counts:
            continue
        record = OutcomeRecord(
            app=app,
            event=event.event,
            rollout=rollout,
            kind=event.kind,
            channel=event.channel,
            base=event.base,
            name=event.name,
            release=event.release,
            detail=event.detail,
            gain=event.gain,
            received_at=now,
        )
        if event.event in matched:
            repeated.append(record)
        matched.setdefault(event.event, record)
    return [*matched.values(), *repeated]


def _rollout_of(tx: Transaction, app: str, event: Outcome) -> tuple[bool, str | None]:
    """Whether the event counts, and for which rollout (None: about the head in the app's bundle)."""
    base = tx.releases.base_by_digest(app, event.base)
    if base is None:
        return False, None
    if event.release == 0:
        return True, None
    rollout = tx.rollouts.find(app, event.channel, base.base_id, event.name, event.release)
    if rollout is None or rollout.head != event.head:
        return False, None
    return True, rollout.id
