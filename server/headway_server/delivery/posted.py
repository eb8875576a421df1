"""What a device posts: ``{"app", "events"}``, gzip allowed. From bytes to events, strictly and bounded.

The loop and the application read reports by this one function, so both take and refuse the same.
"""

from __future__ import annotations

import zlib
from dataclasses import dataclass

from headway.contract.errors import RefusedError, malformed
from headway.contract.outcome import Outcome
from headway.contract.parsing import decode
from headway.contract.versions import parse_name

_GZIP = 16 + zlib.MAX_WBITS


@dataclass(frozen=True, slots=True)
class Posted:
    """A report: events of one app, each with an id of its own."""

    app: str
    events: tuple[Outcome, ...]


def read_report(data: bytes, encoding: str, most_bytes: int, most_events: int) -> Posted:
    """The report in a request's body, of at most ``most_bytes`` unpacked and ``most_events``.

    Raises:
        RefusedError: codes ``malformed``, ``too_large``, ``too_many_events``; one wrong event refuses the whole.
    """
    fields = decode(_unpacked(data, encoding.lower(), most_bytes), "outcomes")
    events = tuple(Outcome.from_json(item) for item in fields.items("events"))
    posted = Posted(parse_name(fields.text("app"), what="app"), events)
    if len(events) > most_events:
        raise RefusedError(
            "too_many_events",
            f"The batch has {len(events)} events, more than {most_events}.",
            hint="Send them in several batches.",
            kind="too_large",
        )
    return posted


def _unpacked(data: bytes, encoding: str, most: int) -> bytes:
    match encoding:
        case "identity":
            return data
        case "gzip":
            return _gunzip(data, most)
        case _:
            raise malformed("outcomes", "Content-Encoding", "gzip or absent")


def _gunzip(data: bytes, most: int) -> bytes:
    # A few KB can decompress to gigabytes: never take more than the limit out.
    inflater = zlib.decompressobj(_GZIP)
    try:
        text = inflater.decompress(data, most + 1)
    except zlib.error as error:
        raise malformed("outcomes", "$", "gzip") from error
    if len(text) > most:
        raise RefusedError(
            "too_large", "The report is too large.", hint="Send the events in several batches.", kind="too_large"
        )
    if not inflater.eof:
        raise malformed("outcomes", "$", "complete gzip")
    return text
