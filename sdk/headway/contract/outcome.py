"""Outcomes: what a device reports. No identifier of user or device, no text, no weights, no exact time.

``event`` is a random key that makes a report idempotent; it is drawn per event, so two events of one device cannot
be tied together by it.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from headway.contract.digests import Digest
from headway.contract.errors import malformed
from headway.contract.parsing import Fields
from headway.contract.versions import MAX_RELEASE, parse_name

SCHEMA = 1
KINDS = ("installed", "confirmed", "rolled_back", "refused", "personalised", "rebased", "recalled")
GAINS = ("worse", "none", "0-1", "1-5", "5-20", "over-20")
"""Accuracy gained on the local holdout, in percentage points, bucketed so that it says nothing about one person."""

_DETAIL_KINDS = ("rolled_back", "refused", "rebased", "recalled")
_GAIN_KINDS = ("personalised", "rebased")
_EVENT = re.compile(r"[0-9a-f]{32}")
_DETAIL = re.compile(r"[a-z0-9_]+")


@dataclass(frozen=True, slots=True)
class Outcome:
    """One event. ``detail`` is a reason code or rebase policy; ``gain`` a bucket of :data:`GAINS`."""

    event: str
    kind: str
    channel: str
    base: Digest
    name: str
    release: int
    head: Digest
    detail: str | None = None
    gain: str | None = None

    def to_json(self) -> dict[str, object]:
        """The JSON object; inverse of :meth:`from_json`."""
        value: dict[str, object] = {
            "schema": SCHEMA,
            "event": self.event,
            "kind": self.kind,
            "channel": self.channel,
            "base": self.base,
            "name": self.name,
            "release": self.release,
            "head": self.head,
        }
        if self.detail is not None:
            value["detail"] = self.detail
        if self.gain is not None:
            value["gain"] = self.gain
        return value

    @classmethod
    def from_json(cls, value: object) -> Outcome:
        """Read an outcome; what a kind needs must be there, what it cannot have must not.

        Raises:
            RefusedError: code ``malformed``.
        """
        fields = Fields(value, "outcome")
        fields.schema(SCHEMA)
        kind = fields.text("kind", choices=KINDS)
        detail = fields.optional("detail", lambda n: parse_detail(fields.text(n, max_length=64)))
        gain = fields.optional("gain", lambda n: fields.text(n, choices=GAINS))
        if (detail is not None) != (kind in _DETAIL_KINDS):
            raise fields.wrong("detail", f"present exactly for {', '.join(_DETAIL_KINDS)}")
        if (gain is not None) != (kind in _GAIN_KINDS):
            raise fields.wrong("gain", f"present exactly for {', '.join(_GAIN_KINDS)}")
        return cls(
            event=parse_event(fields.text("event", max_length=64)),
            kind=kind,
            channel=parse_name(fields.text("channel"), what="channel"),
            base=fields.digest("base"),
            name=parse_name(fields.text("name"), what="head name"),
            release=fields.integer("release", high=MAX_RELEASE),
            head=fields.digest("head"),
            detail=detail,
            gain=gain,
        )


def parse_event(text: str) -> str:
    """An idempotency key: 32 lower-case hex digits (128 random bits)."""
    if _EVENT.fullmatch(text):
        return text
    raise malformed("outcome", "$.event", "32 lower-case hex digits")


def parse_detail(text: str) -> str:
    """A reason code: lower-case letters, digits and underscores, so that no text of a user can slip in."""
    if _DETAIL.fullmatch(text):
        return text
    raise malformed("outcome", "$.detail", "a code of a-z, 0-9 and _")


def gain_bucket(points: float) -> str:
    """The bucket of a gain in percentage points; NaN, a gain over nothing, is ``worse``."""
    if not points >= 0:
        return "worse"
    for limit, name in ((1e-9, "none"), (1.0, "0-1"), (5.0, "1-5"), (20.0, "5-20")):
        if points <= limit:
            return name
    return "over-20"
