"""Outcomes: what devices report, counted once each.

Devices have no account, so everything here is bounded and taken with care: an event counts only if it names a head
that this app really offered, an event id counts once, and one source can send only so much. Nothing that could
identify a device or a user is kept; the source address is never stored.

Batches of many devices are counted in one transaction; see :mod:`headway_server.delivery.intake`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from headway.contract.digests import Digest
from headway.contract.errors import RefusedError
from headway.contract.outcome import Outcome
from headway_server.ports import Transaction
from headway_server.records import OutcomeRecord

_What = tuple[str, Digest, str, int, Digest]


@dataclass(frozen=True, slots=True)
class Tally:
    """What became of a batch. ``ignored`` events name nothing that this app offers."""

    accepted: int
    duplicate: int
    ignored: int


@dataclass(slots=True)
class Batch:
    """Events of one report, and what became of them once it is known; ``result`` is set after the commit."""

    app: str
    events: tuple[Outcome, ...]
    result: Tally | BaseException | None = None


class Offered:
    """Apps and bases that were found once: neither ever goes away. What was not found is asked for again."""

    def __init__(self) -> None:
        self._apps: set[str] = set()
        self._bases: dict[tuple[str, Digest], str] = {}

    def has_app(self, tx: Transaction, app: str) -> bool:
        """Whether there is such an app."""
        if app not in self._apps and tx.apps.get(app) is not None:
            self._apps.add(app)
        return app in self._apps

    def base_id(self, tx: Transaction, app: str, base: Digest) -> str | None:
        """The base id of a registered package, or None."""
        if (app, base) not in self._bases:
            found = tx.releases.base_by_digest(app, base)
            if found is None:
                return None
            self._bases[app, base] = found.base_id
        return self._bases[app, base]


def count(tx: Transaction, batches: Sequence[Batch], offered: Offered, now: int) -> list[Tally | RefusedError]:
    """Count batches in one transaction: what each came to, in their order."""
    apps = {batch.app for batch in batches}
    known = {app: _Known(tx, app, offered) for app in apps if offered.has_app(tx, app)}
    matched = [known[b.app].records(b.events, now) if b.app in known else [] for b in batches]
    new = {app: _add(tx, app, batches, matched) for app in sorted(known)}
    results: list[Tally | RefusedError] = []
    for batch, records in zip(batches, matched, strict=True):
        if batch.app not in known:
            results.append(_unknown_app(batch.app))
            continue
        accepted = 0
        for record in records:
            if record.event in new[batch.app]:
                new[batch.app].remove(record.event)  # only the first report of an event is the accepted one
                accepted += 1
        results.append(Tally(accepted, len(records) - accepted, len(batch.events) - len(records)))
    return results


def _add(tx: Transaction, app: str, batches: Sequence[Batch], matched: Sequence[list[OutcomeRecord]]) -> set[str]:
    records = [r for batch, found in zip(batches, matched, strict=True) if batch.app == app for r in found]
    return set(tx.outcomes.add(app, records))


def _unknown_app(app: str) -> RefusedError:
    return RefusedError("unknown_app", f"There is no app {app}.", hint="Check the app's name.", kind="not_found")


class _Known:
    """What one app offers, looked up once per transaction for each head that events name."""

    def __init__(self, tx: Transaction, app: str, offered: Offered) -> None:
        self._tx, self._app, self._offered = tx, app, offered
        self._found: dict[_What, tuple[bool, str | None]] = {}

    def records(self, events: Sequence[Outcome], now: int) -> list[OutcomeRecord]:
        """The events that count, as records."""
        records = []
        for event in events:
            what = (event.channel, event.base, event.name, event.release, event.head)
            if what not in self._found:
                self._found[what] = self._rollout_of(event)
            counts, rollout = self._found[what]
            if counts:
                records.append(_record(self._app, event, rollout, now))
        return records

    def _rollout_of(self, event: Outcome) -> tuple[bool, str | None]:
        """Whether the event counts, and for which rollout (None: about the head in the app's bundle)."""
        base_id = self._offered.base_id(self._tx, self._app, event.base)
        if base_id is None:
            return False, None
        if event.release == 0:
            return True, None
        rollout = self._tx.rollouts.find(self._app, event.channel, base_id, event.name, event.release)
        if rollout is None or rollout.head != event.head:
            return False, None
        return True, rollout.id


def _record(app: str, event: Outcome, rollout: str | None, now: int) -> OutcomeRecord:
    return OutcomeRecord(
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
