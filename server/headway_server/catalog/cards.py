"""What a release's card says of its gate: each line with its verdict, and the waivers that a person signed for.

The trainer writes ``gate`` into ``card.json`` and publishing adds ``waivers``; the manifest pins the card and the
publisher signs that. The server shows them and judges nothing: a card that is not understood has no lines.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

from headway.contract.digests import Digest
from headway.contract.errors import HeadwayError
from headway_server.catalog.files import read_manifest, read_small
from headway_server.ports import Ports

CARD = "card.json"
_MOST_LINES, _MOST_TEXT = 100, 500


@dataclass(frozen=True, slots=True)
class GateLine:
    """One line of the gate. ``waived`` is the reason given for accepting it, or None."""

    metric: str
    limit: str
    found: str
    verdict: str
    waived: str | None


def gate(ports: Ports, app: str, path: str, manifest: Digest) -> tuple[GateLine, ...]:
    """The gate of the release whose manifest is at target ``path``; empty where its card has none."""
    with ports.database.read() as tx:
        kept = read_manifest(tx, app, path, manifest)
    if kept is None or all(file.path != CARD for file in kept.files):
        return ()
    try:
        card = json.loads(read_small(ports, app, kept, CARD))
    except (HeadwayError, ValueError, RecursionError):
        return ()
    return _lines(card) if isinstance(card, dict) else ()


def _lines(card: dict[str, Any]) -> tuple[GateLine, ...]:
    waived = {_text(row.get("metric")): _text(row.get("reason")) for row in _objects(card.get("waivers"))}
    return tuple(
        GateLine(
            metric=_text(line.get("metric")),
            limit=_text(line.get("limit")),
            found=_text(line.get("found")),
            verdict=_text(line.get("verdict")),
            waived=waived.get(_text(line.get("metric"))),
        )
        for line in _objects(card.get("gate"))
    )


def _objects(value: object) -> list[dict[str, Any]]:
    rows = value if isinstance(value, list) else []
    return [row for row in rows[:_MOST_LINES] if isinstance(row, dict)]


def _text(value: object) -> str:
    """Any JSON value as bounded text: a card is the publisher's, and holds what he likes."""
    if value is None:
        return ""
    return (value if isinstance(value, str) else json.dumps(value, ensure_ascii=False))[:_MOST_TEXT]
