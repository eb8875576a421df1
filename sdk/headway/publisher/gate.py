"""The release gate at publishing: a line of the acceptance table that did not pass needs a reason from a person.

The trainer writes its table into ``card.json`` as ``gate``: a list of ``{metric, limit, found, verdict}``. Waivers are
written into the same card, which the manifest pins and the publisher signs. A card without a table has nothing to
waive; that is visible to everyone who reads it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from headway.contract.errors import RefusedError

PASSED = "passed"


@dataclass(frozen=True, slots=True)
class Waiver:
    """One metric that a person accepts as it is, and why."""

    metric: str
    reason: str


def open_metrics(card: Mapping[str, Any]) -> tuple[str, ...]:
    """Metrics of the card's gate that neither passed nor are waived: what a person has to answer for.

    Raises:
        RefusedError: code ``bad_card``.
    """
    waived = _waived(card)
    return tuple(metric for metric, verdict in _lines(card).items() if verdict != PASSED and metric not in waived)


def waived_card(card: Mapping[str, Any], waivers: Iterable[Waiver]) -> dict[str, Any]:
    """The card with ``waivers`` added, if with them no line of the gate is open.

    Raises:
        RefusedError: code ``gate_not_met`` (kind ``gate``), ``bad_waiver`` (no reason, or no such metric),
            ``bad_card``.
    """
    lines = _lines(card)
    given = {waiver.metric: waiver.reason.strip() for waiver in waivers}
    unknown = [metric for metric, reason in given.items() if not reason or metric not in lines]
    if unknown:
        raise RefusedError(
            "bad_waiver",
            f"The waiver of {unknown[0]!r} names no metric of the card's gate, or gives no reason.",
            hint=f"Metrics are: {', '.join(lines) or 'none, the card has no gate'}. Give each waiver a reason.",
        )
    waived = {**_waived(card), **given}
    open_lines = [metric for metric in open_metrics(card) if metric not in given]
    if open_lines:
        told = "; ".join(f"{metric}: {lines[metric]}" for metric in open_lines)
        raise RefusedError(
            "gate_not_met",
            f"The release does not pass its gate ({told}).",
            hint="Improve it, attach a device report, or waive each metric: --waive 'METRIC=REASON'.",
            kind="gate",
            open=",".join(open_lines),
        )
    if not given:
        return dict(card)
    return {**card, "waivers": [{"metric": m, "reason": r} for m, r in sorted(waived.items())]}


def _lines(card: Mapping[str, Any]) -> dict[str, str]:
    table = card.get("gate", [])
    if not isinstance(table, list):
        raise _bad_card("gate must be a list")
    lines = {}
    for line in table:
        if not (
            isinstance(line, dict) and isinstance(line.get("metric"), str) and isinstance(line.get("verdict"), str)
        ):
            raise _bad_card("every line of gate must have metric and verdict")
        lines[line["metric"]] = line["verdict"]
    return lines


def _waived(card: Mapping[str, Any]) -> dict[str, str]:
    rows = card.get("waivers", [])
    if not isinstance(rows, list) or not all(isinstance(row, dict) for row in rows):
        raise _bad_card("waivers must be a list of objects")
    return {str(row.get("metric")): str(row.get("reason")) for row in rows if str(row.get("reason") or "").strip()}


def _bad_card(why: str) -> RefusedError:
    return RefusedError("bad_card", f"card.json is not understood: {why}.", hint="Write the card with the trainer.")
