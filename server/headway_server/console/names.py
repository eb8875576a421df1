"""Aliases and labels for a page: what stands (or stood at the end of a day), and everything each ever was."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from headway_server.catalog import apps
from headway_server.ports import Ports, Transaction
from headway_server.records import MarkRecord
from headway_server.repositories_marks import MarkKey

MOST = 100
"""Aliases, and labels, that a page shows; the API lists all."""


@dataclass(frozen=True, slots=True)
class Named:
    """One alias or label: the change that stands then (value None: it was removed), and all changes, newest first."""

    stands: MarkRecord
    history: tuple[MarkRecord, ...]

    @property
    def thing(self) -> str:
        """What it is a mark of: a head, a base, or one release of either."""
        of = f"{self.stands.base_id}/{self.stands.name}" if self.stands.name else self.stands.base_id
        return f"{of}@{self.stands.release}" if self.stands.release else of


@dataclass(frozen=True, slots=True)
class NamesView:
    """The page. ``day`` is the day that was asked for, or empty for now; ``wrong`` tells that it was none."""

    day: str
    wrong: bool
    aliases: tuple[Named, ...]
    labels: tuple[Named, ...]


def of_app(ports: Ports, app: str, day: str) -> NamesView:
    """The names of an app at the end of ``day`` (``2026-05-03``, UTC; empty: now). Raises ``unknown_app``."""
    at = end_of(day)
    with ports.database.read() as tx:
        apps.known(tx, app)
        aliases, labels = (_named(tx, app, labels=labels, at=at) for labels in (False, True))
    return NamesView(day, bool(day) and at is None, aliases, labels)


def end_of(day: str) -> int | None:
    """The last second of a day in UTC, as seconds since 1970; None if it is no day."""
    try:
        began = datetime.strptime(day, "%Y-%m-%d").replace(tzinfo=UTC)
    except ValueError:
        return None
    return int((began + timedelta(days=1, seconds=-1)).timestamp())


def _named(tx: Transaction, app: str, *, labels: bool, at: int | None) -> tuple[Named, ...]:
    marks = tx.marks.all(app, labels=labels, at=at, gone=True)
    newest = sorted(marks, key=lambda mark: mark.at, reverse=True)[:MOST]
    kept = sorted(newest, key=lambda mark: (mark.base_id, mark.name, mark.release, mark.key))
    return tuple(Named(mark, tx.marks.history(_key(mark))[::-1]) for mark in kept)


def _key(mark: MarkRecord) -> MarkKey:
    return MarkKey(mark.app, mark.base_id, mark.name, mark.release, mark.key)
