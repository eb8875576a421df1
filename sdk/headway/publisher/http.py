"""The publisher's HTTP: one place for the token, bounded answers, problem documents and retries.

Only requests that may safely be sent twice are retried, and only after a failure of the network or the server. The
token is sent in a header and never appears in an error.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

import httpx2
import stamina
from stamina.instrumentation import RetryDetails, set_on_retry_hooks

from headway.contract.errors import HeadwayError, RefusedError, TransferError
from headway.contract.problems import error_of
from headway.loopback import DIRECT

_MAX_ANSWER_BYTES = 64 * 2**20
_MAX_WAIT_S = 30
_RETRY_STATUSES = frozenset({429, 502, 503, 504})
Content = Callable[[], Iterable[bytes]]


@dataclass(frozen=True, slots=True)
class Answer:
    """A successful answer; header names are lower-case."""

    status: int
    body: bytes
    headers: Mapping[str, str]

    def json(self) -> dict[str, Any]:
        """The JSON object in the body.

        Raises:
            TransferError: code ``not_a_registry``; it is something else.
        """
        try:
            value = json.loads(self.body)
        except ValueError:
            value = None
        if not isinstance(value, dict):
            raise TransferError(
                "not_a_registry",
                "The answer is not that of a Headway registry.",
                hint="Check the URL of the registry (setting url), and that no proxy answers in its place.",
            )
        return value


@dataclass(frozen=True, slots=True)
class Retries:
    """How often and how long a request that may be repeated is repeated. Times in seconds."""

    attempts: int = 6  # about six seconds: a registry that is just being started answers before the last one
    wait_initial_s: float = 0.2
    wait_max_s: float = 5.0
    timeout_s: float = 60.0


RETRIES = Retries()


class ApiClient:
    """Sends requests to one registry with one token; without a token, to addresses that were signed for us.

    Raises:
        RefusedError: code ``bad_url`` or ``bad_token``; no request could ever be sent with it.
    """

    def __init__(
        self,
        url: str,
        token: str | None,
        *,
        transport: httpx2.BaseTransport | None = None,
        timeout_s: float = 30.0,
        retries: Retries = RETRIES,
    ) -> None:
        if token is not None:
            _check(url, token)
        self._retries = retries
        self._client = httpx2.Client(
            base_url=url.rstrip("/") + "/",
            transport=transport,
            mounts=DIRECT,
            timeout=timeout_s,
            follow_redirects=False,
            headers={
                **({} if token is None else {"authorization": f"Bearer {token}"}),
                "accept": "application/json",
                "user-agent": "headway",
            },
        )

    def close(self) -> None:
        """Close idle connections."""
        self._client.close()

    def send(
        self,
        method: str,
        path: str,
        *,
        body: object = None,
        content: Content | None = None,
        headers: Mapping[str, str] | None = None,
        repeatable: bool = True,
        timeout_s: float | None = None,
    ) -> Answer:
        """Send one request: ``body`` as JSON, or ``content``, which is called afresh for each attempt.

        ``timeout_s`` bounds each silence; without it the client's own limit does.

        Raises:
            TransferError: the registry cannot be reached, is too slow, or fails (5xx), also after all retries.
            RefusedError, UntrustedError, IncompatibleError: what its problem document says.
        """
        sent = dict(headers or {})
        if body is not None:
            data = json.dumps(body, separators=(",", ":")).encode()
            sent["content-type"] = "application/json"
            sent["content-length"] = str(len(data))
            content = lambda: iter([data])  # noqa: E731 - a closure over data reads best here
        if not repeatable:
            return self._once(method, path, content, sent, timeout_s)
        policy = self._retries
        for attempt in stamina.retry_context(
            on=_worth_repeating,
            attempts=policy.attempts,
            timeout=policy.timeout_s,
            wait_initial=policy.wait_initial_s,
            wait_max=policy.wait_max_s,
            wait_jitter=policy.wait_initial_s,
        ):
            with attempt:
                return self._once(method, path, content, sent, timeout_s)
        raise AssertionError("the retry loop ends by returning or raising")

    def _once(
        self, method: str, path: str, content: Content | None, headers: dict[str, str], timeout_s: float | None
    ) -> Answer:
        try:
            request = self._client.build_request(
                method,
                path,
                content=None if content is None else content(),
                headers=headers,
                timeout=self._client.timeout if timeout_s is None else timeout_s,
            )
            response = self._client.send(request, stream=True)
            try:
                body = self._bounded(path, response)
            finally:
                response.close()
        except httpx2.TimeoutException as error:
            raise self._transfer("timeout", path, "did not answer in time") from error
        except httpx2.ConnectError as error:
            raise self._transfer("unreachable", path, f"cannot be reached ({str(error)[:200]})") from error
        except (httpx2.HTTPError, httpx2.InvalidURL) as error:
            raise self._transfer("broken_off", path, f"broke the connection off ({type(error).__name__})") from error
        if response.status_code >= 300:
            raise _error(response.status_code, body)
        return Answer(response.status_code, body, {k.lower(): v for k, v in response.headers.items()})

    def _bounded(self, path: str, response: httpx2.Response) -> bytes:
        parts, size = [], 0
        for part in response.iter_bytes(64 * 1024):
            size += len(part)
            if size > _MAX_ANSWER_BYTES:
                raise self._transfer("too_large", path, f"answered with more than {_MAX_ANSWER_BYTES} bytes")
            parts.append(part)
        return b"".join(parts)

    def _transfer(self, code: str, path: str, what: str) -> TransferError:
        # Scheme and host alone: what follows may be a signature.
        there = urlsplit(path if "://" in path else str(self._client.base_url))
        return TransferError(
            code,
            f"{there.scheme}://{there.netloc.rpartition('@')[2]} {what}.",
            hint="Nothing is half-done: run the same command again when it is back; check the address if it stays.",
        )


def tell_retries(tell: Callable[[str, float], None]) -> None:
    """Call ``tell`` with why and in how many seconds a request is sent again, for all clients of this process.

    Without it the library writes a log line, which lands on standard output where structlog is installed.
    """

    def told(details: RetryDetails) -> None:
        cause = details.caused_by
        tell(cause.message if isinstance(cause, HeadwayError) else type(cause).__name__, details.wait_for)

    set_on_retry_hooks([told])


def _check(url: str, token: str) -> None:
    try:
        parts = urlsplit(url)
        sound = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:
        sound = False
    if not sound:
        raise RefusedError(
            "bad_url",
            f"{url!r} is not the address of a registry.",
            hint="Write it with its scheme, for example http://127.0.0.1:8080 or https://registry.example.net.",
        )
    if not token.isascii() or not token.isprintable() or " " in token:
        raise RefusedError(
            "bad_token",
            "The token holds characters that no token has.",
            hint="Copy it again, whole and on one line.",
            kind="not_authenticated",
        )


def _error(status: int, body: bytes) -> HeadwayError:
    try:
        problem = json.loads(body)
    except ValueError:
        problem = None
    error = error_of(status, problem)
    error.data.setdefault("status", status)
    return error


def _worth_repeating(error: Exception) -> bool | float:
    """Whether to send the request again, or how many seconds to wait first where the registry named a short time."""
    if not isinstance(error, HeadwayError):
        return False
    status, wait = error.data.get("status"), error.data.get("retry_after_s")
    if status is not None and status not in _RETRY_STATUSES:
        return False
    if isinstance(wait, int):
        return float(wait) if 0 < wait <= _MAX_WAIT_S else False
    return status is not None or isinstance(error, TransferError)
