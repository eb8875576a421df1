"""What aliases, labels and the search ask of the registry's memory; see :mod:`headway_server.repositories`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from headway_server.records import FoundRecord, MarkRecord


@dataclass(frozen=True, slots=True)
class MarkKey:
    """What a mark is on. ``name`` empty: on a base; ``release`` empty: an alias of all its releases, else a label."""

    app: str
    base_id: str
    name: str
    release: str
    key: str


class Marks(Protocol):
    """Aliases and labels, every change kept."""

    def current(self, key: MarkKey, at: int | None = None) -> MarkRecord | None:
        """The newest change, or the newest up to ``at``; its value is None where the mark had been removed."""

    def history(self, key: MarkKey) -> tuple[MarkRecord, ...]:
        """Every change, oldest first."""

    def add(self, record: MarkRecord) -> bool:
        """Add a change; False if its ``seq`` was there (somebody else was faster)."""

    def all(
        self,
        app: str,
        *,
        labels: bool,
        base_id: str | None = None,
        name: str | None = None,
        release: str | None = None,
        key: str | None = None,
        at: int | None = None,
        gone: bool = False,
    ) -> tuple[MarkRecord, ...]:
        """The marks that stand (or stood at ``at``), aliases or labels, narrowed by what is given.

        With ``gone`` also those that had been removed by then; their value is None.
        """


@dataclass(frozen=True, slots=True)
class SearchQuery:
    """What to look for; None does not narrow. Digests are prefixes of hex digits; times whole seconds.

    ``kind`` is ``head`` or ``base``; ``base`` a base id, ``base_digest`` one that a head is proven on (or a base is);
    ``state`` one of the release states, ``recalled`` or ``yanked``; ``after`` the last release of the page before.
    """

    app: str
    kind: str | None = None
    name: str | None = None
    label: tuple[str, str | None] | None = None
    alias: str | None = None
    digest: str | None = None
    base: str | None = None
    base_digest: str | None = None
    state: str | None = None
    publisher: str | None = None
    since: int | None = None
    until: int | None = None
    after: tuple[int, str, str, str] | None = None
    limit: int = 50


class Search(Protocol):
    """Finding releases."""

    def find(self, query: SearchQuery) -> tuple[FoundRecord, ...]:
        """Releases that fit, newest first, then by base id, name and release."""
