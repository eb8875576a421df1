"""The device's HTTP client: bounded in bytes, in time and in what it reveals.

Bodies are cut off at their cap while they stream, gzip is unpacked under the same cap, and a deadline covers the
whole transfer, so that neither an endless nor a dripping server can hold the device. It follows no redirect (a
captive portal's favourite), keeps no cookie and sends no identifier. Whatever goes wrong is a ``TransferError``, or
an ``UntrustedError`` for a body over its cap. It checks no digest: who asked for bytes knows what they must be.
"""

from __future__ import annotations

import gzip
import json
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from http.cookiejar import CookieJar, DefaultCookiePolicy
from threading import Timer
from time import monotonic, time
from typing import Protocol

import httpx2

from headway.contract.errors import TransferError, UntrustedError
from headway.contract.problems import error_of
from headway.loopback import DIRECT
from headway.trust.ports import Fetched, Fetcher

MAX_RETRY_AFTER_S = 86_400


@dataclass(frozen=True, slots=True)
class FetchLimits:
    """How long a transfer may take, in seconds. ``bytes_per_s`` is the slowest rate a long download may have."""

    connect_s: float = 10.0
    idle_s: float = 15.0
    deadline_s: float = 60.0
    bytes_per_s: int = 4096


class ArtifactSource(Protocol):
    """Streams one immutable file, from any offset."""

    def stream(self, url: str, *, size: int, start: int) -> Iterator[tuple[int, bytes]]:
        """Pieces of the file as ``(offset, bytes)``, in order.

        The first offset is ``start``, or 0 where the server does not know ranges. At most ``size`` bytes in all.

        Raises:
            TransferError: from the network; ``wrong_range`` if another part of the file came.
            UntrustedError: code ``too_large``.
        """
        ...


class Network(Fetcher, ArtifactSource, Protocol):
    """All that a device asks of the network."""

    def post_json(self, url: str, value: object) -> object:
        """Send ``value`` as JSON; the JSON answer.

        Raises:
            TransferError: from the network, or a 5xx or 429.
            RefusedError: the server refuses the request.
        """
        ...


class HttpFetcher:
    """The :class:`Network` over HTTP."""

    def __init__(
        self,
        limits: FetchLimits = FetchLimits(),
        *,
        transport: httpx2.BaseTransport | None = None,
        elapsed: Callable[[], float] = monotonic,
    ) -> None:
        self._limits = limits
        self._elapsed = elapsed
        self._transport = transport
        self._client = self._make_client()

    def _make_client(self) -> httpx2.Client:
        return httpx2.Client(
            transport=self._transport,
            mounts=DIRECT,
            timeout=httpx2.Timeout(self._limits.idle_s, connect=self._limits.connect_s),
            follow_redirects=False,
            cookies=CookieJar(DefaultCookiePolicy(allowed_domains=[])),
            headers={"user-agent": "headway", "accept": "*/*"},
        )

    def close(self) -> None:
        """Close idle connections."""
        self._client.close()

    def fetch(self, url: str, *, max_bytes: int, etag: str | None = None) -> Fetched:
        """See :class:`headway.trust.ports.Fetcher`."""
        headers = {"accept-encoding": "gzip"}
        if etag is not None:
            headers["if-none-match"] = etag
        deadline = self._elapsed() + self._limits.deadline_s
        with self._open(url, headers, deadline) as response:
            if response.status_code == 304 and etag is None:
                raise _transfer("unexpected_status", url, "answered 304 to an unconditional request")
            body = b"".join(self._bounded(response, url, max_bytes, deadline))
            return Fetched(response.status_code, body, {k.lower(): v for k, v in response.headers.items()})

    def stream(self, url: str, *, size: int, start: int = 0) -> Iterator[tuple[int, bytes]]:
        """See :class:`ArtifactSource`."""
        headers = {"accept-encoding": "identity"}
        if start > 0:
            headers["range"] = f"bytes={start}-"
        deadline = self._elapsed() + self._limits.deadline_s + size / self._limits.bytes_per_s
        with self._open(url, headers, deadline) as response:
            offset = _first_offset(response, url, start, size)
            for piece in self._bounded(response, url, size - offset, deadline):
                yield offset, piece
                offset += len(piece)

    def post_json(self, url: str, value: object) -> object:
        """Send ``value`` as gzipped JSON; the JSON answer (at most 1 MiB).

        Raises:
            TransferError: from the network, or a 5xx or 429.
            RefusedError: the server refuses the request.
        """
        body = gzip.compress(json.dumps(value, separators=(",", ":")).encode(), mtime=0)
        headers = {"content-type": "application/json", "content-encoding": "gzip", "accept-encoding": "gzip"}
        deadline = self._elapsed() + self._limits.deadline_s
        with self._open(url, headers, deadline, body) as response:
            text = b"".join(self._bounded(response, url, 1 << 20, deadline))
            answer = _json(text)
            if response.status_code >= 300:
                raise error_of(response.status_code, answer if isinstance(answer, dict) else {})
            return answer

    @contextmanager
    def _open(
        self, url: str, headers: dict[str, str], deadline: float, body: bytes | None = None
    ) -> Iterator[httpx2.Response]:
        method = "GET" if body is None else "POST"
        try:
            with (
                self._watched(deadline),
                self._client.stream(method, url, headers=headers, content=body) as response,
            ):
                _check_status(response, url)
                yield response
        except httpx2.TimeoutException as error:
            raise _transfer("timeout", url, "did not answer in time") from error
        except httpx2.ConnectError as error:
            raise _transfer("unreachable", url, "cannot be reached") from error
        except (httpx2.HTTPError, httpx2.InvalidURL, httpx2.StreamError) as error:
            if self._elapsed() >= deadline:
                raise _transfer("timeout", url, "took longer than the whole transfer may") from error
            raise _transfer("broken_off", url, f"broke the transfer off ({type(error).__name__})") from error

    @contextmanager
    def _watched(self, deadline: float) -> Iterator[None]:
        """Close the connection under a transfer that outlives its deadline.

        Checks between the pieces of a body cannot see headers that drip, each byte within the idle limit.
        """
        if self._transport is not None:  # in this process: no socket to close, and perhaps no real time either
            yield
            return
        watchdog = Timer(max(0.0, deadline - self._elapsed()), self._abort)
        watchdog.daemon = True
        watchdog.start()
        try:
            yield
        finally:
            watchdog.cancel()

    def _abort(self) -> None:
        stuck, self._client = self._client, self._make_client()
        stuck.close()

    def _bounded(self, response: httpx2.Response, url: str, max_bytes: int, deadline: float) -> Iterator[bytes]:
        encoding = response.headers.get("content-encoding", "identity").lower()
        if encoding not in ("identity", "gzip", ""):
            raise _transfer("unknown_encoding", url, f"answered in the encoding {encoding[:20]}")
        inflater = zlib.decompressobj(wbits=31) if encoding == "gzip" else None
        left, arrived = max_bytes, False
        for raw in response.iter_raw():  # as it arrives: a full chunk of a dripping server would take hours
            if self._elapsed() > deadline:
                raise _transfer("timeout", url, "took longer than the whole transfer may")
            arrived = arrived or bool(raw)
            piece = raw if inflater is None else _inflate(inflater, raw, left + 1, url)
            left -= len(piece)
            if left < 0:
                raise UntrustedError(
                    "too_large",
                    f"The answer is longer than the {max_bytes} bytes that are allowed.",
                    hint="Nothing was kept. If it happens again, something on the network answers for the registry.",
                    url=url[:200],
                )
            if piece:
                yield piece
        if inflater is not None and arrived and not inflater.eof:
            raise _transfer("broken_off", url, "sent only a part of its compressed answer")


def _inflate(inflater: zlib._Decompress, raw: bytes, most: int, url: str) -> bytes:
    try:
        return inflater.decompress(raw, max(most, 1))
    except zlib.error as error:
        raise _transfer("broken_off", url, "sent damaged gzip") from error


def _check_status(response: httpx2.Response, url: str) -> None:
    status = response.status_code
    if status == 429 or status >= 500:
        code = "rate_limited" if status == 429 else "server_error"
        wait = retry_after_s(response.headers.get("retry-after"), time())
        raise _transfer(code, url, f"answered {status}", retry_after_s=wait, status=status)
    if 300 <= status < 400 and status != 304:
        raise _transfer("redirected", url, f"answered {status}: a captive portal, or the registry has moved")


def _first_offset(response: httpx2.Response, url: str, start: int, size: int) -> int:
    if response.status_code == 200:
        return 0
    if response.status_code == 206 and response.headers.get("content-range", "") == f"bytes {start}-{size - 1}/{size}":
        return start
    if response.status_code in (206, 416):
        raise _transfer("wrong_range", url, "sent another part of the file than was asked for")
    raise _transfer("unexpected_status", url, f"answered {response.status_code}", status=response.status_code)


def retry_after_s(value: str | None, now_s: float) -> int | None:
    """Seconds of a ``Retry-After`` header (RFC 9110 §10.2.3: seconds or a date), at most a day; None if unreadable."""
    if value is None:
        return None
    value = value.strip()
    if value.isascii() and value.isdigit():
        return min(int(value[:12]), MAX_RETRY_AFTER_S)
    try:
        wait = parsedate_to_datetime(value).timestamp() - now_s
    except (ValueError, OverflowError, TypeError):
        return None
    return int(min(max(wait, 0), MAX_RETRY_AFTER_S))


def _transfer(
    code: str, url: str, what: str, *, retry_after_s: int | None = None, status: int | None = None
) -> TransferError:
    return TransferError(
        code,
        f"The registry {what}.",
        hint="Nothing was changed; the device tries again later by itself.",
        retry_after_s=retry_after_s,
        url=url[:200],
        status=status,
    )


def _json(text: bytes) -> object:
    try:
        value: object = json.loads(text)
    except (ValueError, RecursionError):
        return None
    return value
