"""Search the catalog of one app, page by page, with the aliases and labels of what is found."""

from __future__ import annotations

import base64
import binascii
import json
from dataclasses import dataclass, replace

from headway.contract.errors import malformed
from headway_server.catalog import apps
from headway_server.ports import Ports, Transaction
from headway_server.records import FoundRecord
from headway_server.repositories_marks import SearchQuery

SEARCH_STATES = ("registered", "live", "revoked", "unlisted", "recalled", "yanked")
"""The states of a release, and: recalled on some channel; no longer offered on some channel."""


@dataclass(frozen=True, slots=True)
class Found:
    """A release that fits, with the aliases that point to it and its labels."""

    release: FoundRecord
    aliases: tuple[str, ...]
    labels: dict[str, str]


def search(ports: Ports, query: SearchQuery) -> tuple[tuple[Found, ...], str | None]:
    """One page of what fits, newest first, and the cursor of the next one; raises ``unknown_app``."""
    with ports.database.read() as tx:
        apps.known(tx, query.app)
        # One more than asked for says whether there is a next page.
        rows = tx.search.find(replace(query, limit=query.limit + 1))
        page = rows[: query.limit]
        found = _described(tx, query.app, page)
    return found, cursor_of(page[-1]) if len(rows) > len(page) else None


def _described(tx: Transaction, app: str, page: tuple[FoundRecord, ...]) -> tuple[Found, ...]:
    things = {(row.base_id, row.name) for row in page}
    aliases: dict[tuple[str, str, str], list[str]] = {}
    labels: dict[tuple[str, str, str], dict[str, str]] = {}
    for base_id, name in things:
        for mark in tx.marks.all(app, labels=False, base_id=base_id, name=name):
            aliases.setdefault((base_id, name, str(mark.value)), []).append(mark.key)
        for mark in tx.marks.all(app, labels=True, base_id=base_id, name=name):
            labels.setdefault((base_id, name, mark.release), {})[mark.key] = str(mark.value)
    keys = [(row.base_id, row.name, row.release) for row in page]
    return tuple(
        Found(row, tuple(aliases.get(key, ())), labels.get(key, {})) for row, key in zip(page, keys, strict=True)
    )


def cursor_of(last: FoundRecord) -> str:
    """The cursor of the page that begins behind ``last``."""
    place = [last.created_at, last.base_id, last.name, last.release]
    return base64.urlsafe_b64encode(json.dumps(place, separators=(",", ":")).encode()).decode()


def place_of(cursor: str) -> tuple[int, str, str, str]:
    """What a cursor says.

    Raises:
        RefusedError: code ``malformed``.
    """
    try:
        place = json.loads(base64.b64decode(cursor, altchars=b"-_", validate=True))
    except (binascii.Error, ValueError, RecursionError):
        place = None
    match place:
        case [int(at), str(base_id), str(name), str(release)] if not isinstance(at, bool) and 0 <= at < 2**53:
            if all(text.isascii() and text.isprintable() and len(text) <= 63 for text in (base_id, name, release)):
                return at, base_id, name, release
    raise malformed("request", "$.after", "the cursor of an earlier page")
