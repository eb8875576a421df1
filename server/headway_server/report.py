"""The report of a device, taken from its bytes: ``POST /v1/outcomes``.

Beside polls this is what devices send, in crowds after every release, a few events each. So a small plain report costs
no thread and no framework: its events go to the thread that commits (:mod:`headway_server.delivery.intake`), and the
answer is given after the commit. Only acceptance is said here. Whatever is unusual, too much, wrong or fails goes to
the application as it came; that is safe at any time, since each event counts once.
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from email.utils import formatdate

from headway.contract.errors import HeadwayError
from headway_server.delivery.intake import Intake
from headway_server.delivery.outcomes import Batch, Tally
from headway_server.delivery.posted import read_report
from headway_server.delivery.ratelimit import RateLimiter, source_of
from headway_server.plain import END, UNUSUAL, fields_of, request_id_from
from headway_server.settings import Settings

ENDPOINT = "devices.post_outcomes"
"""What metrics call it, wherever it is answered."""

_FIRST = b"POST /v1/outcomes HTTP/1.1\r\n"
_LENGTH = re.compile(rb"[1-9][0-9]{0,5}")
_MOST_BYTES = 8 * 1024
"""Size of a request, and of its body unpacked: some 25 events. Reading more would keep polls waiting."""


@dataclass(frozen=True, slots=True)
class Announced:
    """The head of a plain report: how many bytes it and the whole request have, and its fields."""

    head: int
    size: int
    fields: dict[bytes, bytes]


@dataclass(frozen=True, slots=True)
class Report:
    """A report on its way to be committed. ``request``: its bytes, for the application if it cannot be accepted."""

    request: bytes
    batch: Batch
    id: str
    began: float


def announced(data: bytes) -> Announced | None:
    """The plain report that begins with these bytes, its head whole; None if they are anything else."""
    if not data.startswith(_FIRST):
        return None
    head, _, _ = data.partition(END)
    fields = fields_of(head.split(b"\r\n")[1:], UNUSUAL)
    if fields is None or not _LENGTH.fullmatch(fields.get(b"content-length", b"")):
        return None
    begin = len(head) + len(END)
    size = begin + int(fields[b"content-length"])
    return Announced(begin, size, fields) if size <= _MOST_BYTES else None


class Reports:
    """Takes plain reports for ``intake``; ``answered`` is told the seconds that each took."""

    def __init__(
        self, intake: Intake, limiter: RateLimiter, settings: Settings, answered: Callable[[float], None]
    ) -> None:
        self._intake, self._limiter, self._answered = intake, limiter, answered
        self._proxies = settings.trusted_proxies
        self._most_bytes = min(_MOST_BYTES, settings.outcomes_max_bytes)
        self._most_events = settings.outcomes_max_events

    def take(self, request: bytes, found: Announced, address: str) -> Report | None:
        """The report that a whole request is, sent from ``address``; None: it is the application's."""
        source = self._source(found.fields, address)
        encoding = found.fields.get(b"content-encoding", b"identity").decode("latin-1")
        try:
            posted = read_report(request[found.head :], encoding, self._most_bytes, self._most_events)
        except HeadwayError:
            return None
        if source is None or not self._limiter.take_from_memory(source_of(source)):
            return None
        given = found.fields.get(b"x-request-id", b"").decode("latin-1")
        return Report(request, Batch(posted.app, posted.events), request_id_from(given), time.perf_counter())

    def commit(self, reports: Sequence[Report], done: Callable[[], None]) -> None:
        """Count the events of these reports; ``done`` is called in another thread once :meth:`answer` knows of each."""
        self._intake.submit([report.batch for report in reports], done)

    def answer(self, report: Report) -> bytes | None:
        """The whole answer to a report that is committed, or None: then the application must say what is wrong."""
        tally = report.batch.result
        if not isinstance(tally, Tally):
            return None
        body = f'{{"accepted":{tally.accepted},"duplicate":{tally.duplicate},"ignored":{tally.ignored}}}\n'
        self._answered(time.perf_counter() - report.began)
        return (
            f"HTTP/1.1 202 Accepted\r\nDate: {formatdate(usegmt=True)}\r\nContent-Type: application/json\r\n"
            f"Content-Length: {len(body)}\r\nCache-Control: no-store\r\nX-Request-Id: {report.id}\r\n\r\n{body}"
        ).encode()

    def _source(self, fields: dict[bytes, bytes], address: str) -> str | None:
        """Who sends: the address that the proxies in front say, read as the application does; None if that is odd."""
        told = fields.get(b"x-forwarded-for", b"")
        if not (self._proxies and told):
            return address
        values = [value.strip() for value in told.split(b",")]
        if b'"' in told or b"" in values:
            return None
        return values[-self._proxies].decode("latin-1") if len(values) >= self._proxies else address
