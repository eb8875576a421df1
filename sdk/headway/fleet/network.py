"""A device's way to the registry: a real HTTP transport with a seeded fault before, in or behind it.

Faults strike below the device's own fetcher, where a real network's do, so everything above is the code that ships.
A truncated answer claims to be complete, a corrupted one has the right length, and a captive portal says 200: only
digests and signatures can tell.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from dataclasses import dataclass

import httpx2

from headway.fleet.conditions import NONE, Weather

_PORTAL = "<!doctype html><title>Wi-Fi</title><p>请先登录 / Please sign in</p>".encode()


@dataclass(slots=True)
class Meter:
    """What went over one device's line. Bytes are bodies."""

    requests: int = 0
    not_modified: int = 0
    bytes_down: int = 0
    bytes_up: int = 0


class Line(httpx2.BaseTransport):
    """One device's line: ``inner`` is the real transport, shared by the fleet; ``online`` may be switched off."""

    def __init__(self, inner: httpx2.BaseTransport, weather: Weather) -> None:
        self._inner = inner
        self._weather = weather
        self._lock = threading.Lock()
        self.meter = Meter()
        self.online = True
        self.clear = False
        """True stops all faults but being offline: used at the end, to ask what the device holds."""

    @property
    def conditions(self) -> str:
        """The name of the network's conditions."""
        return self._weather.name

    @property
    def met(self) -> dict[str, int]:
        """The faults met so far, by kind."""
        return self._weather.met

    def handle_request(self, request: httpx2.Request) -> httpx2.Response:
        """Carry one request, or not."""
        with self._lock:
            self.meter.requests += 1
            fault = NONE if self.clear else self._weather.next()
        if not self.online:
            raise httpx2.ConnectError("offline", request=request)
        if fault == "refused":
            raise httpx2.ConnectError("connection refused", request=request)
        if fault == "server_error":
            return httpx2.Response(503, stream=_Body(b""), request=request)
        if fault == "captive_portal":
            return httpx2.Response(200, headers={"content-type": "text/html"}, stream=_Body(_PORTAL), request=request)
        return self._carry(request, fault)

    def _carry(self, request: httpx2.Request, fault: str) -> httpx2.Response:
        sent = len(request.read())
        answer = self._inner.handle_request(request)
        body = b"".join(answer.iter_raw())
        answer.close()
        with self._lock:
            self.meter.bytes_up += sent
            self.meter.bytes_down += len(body)
            self.meter.not_modified += answer.status_code == 304
            body = self._damaged(body, fault)
        headers = [(k, v) for k, v in answer.headers.raw if k.lower() not in (b"content-length", b"transfer-encoding")]
        return httpx2.Response(answer.status_code, headers=headers, stream=_Body(body), request=request)

    def _damaged(self, body: bytes, fault: str) -> bytes:
        if not body or fault == NONE:
            return body
        at = self._weather.position(len(body))
        if fault == "truncated":
            return body[:at]
        return body[:at] + bytes([body[at] ^ 0x20]) + body[at + 1 :]


class _Body(httpx2.SyncByteStream):
    """A body as it came over the wire, still encoded."""

    def __init__(self, data: bytes) -> None:
        self._data = data

    def __iter__(self) -> Iterator[bytes]:
        """Yield the body once."""
        yield self._data
