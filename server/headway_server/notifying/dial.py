"""A connection to one address that was judged before, cut at one deadline whatever the other side does.

The timeout of a socket begins anew with every byte, also in the middle of a TLS handshake; so a watchdog shuts the
socket down instead. The name stays in ``Host`` and in TLS; nothing is looked up again and no proxy is asked.
"""

from __future__ import annotations

import contextlib
import http.client
import socket
import ssl
from functools import lru_cache
from threading import Event, Timer
from types import TracebackType
from urllib.parse import SplitResult

PORTS = {"https": 443, "http": 80}


class Dialled(http.client.HTTPConnection):
    """A context manager; ``late`` is set once the deadline has passed, and then nothing that was read counts."""

    def __init__(self, parts: SplitResult, address: str, timeout_s: float) -> None:
        self.default_port = PORTS[parts.scheme]
        super().__init__(parts.hostname or "", parts.port or self.default_port, timeout=timeout_s)
        self._address, self._secure = address, parts.scheme == "https"
        self.late = Event()
        self._watchdog = Timer(timeout_s, self._cut)
        self._watchdog.daemon = True

    def __enter__(self) -> Dialled:
        self._watchdog.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._watchdog.cancel()
        self.close()

    def connect(self) -> None:
        """Dial the judged address, and greet it where the address is ``https``."""
        plain = socket.create_connection((self._address, self.port), self.timeout)
        if not self._secure:
            self.sock = plain
            self._check()
            return
        secure = _tls().wrap_socket(plain, server_hostname=self.host, do_handshake_on_connect=False)
        self.sock = secure
        self._check()
        secure.do_handshake()

    def _check(self) -> None:
        # Either the watchdog sees the socket, or we see that it has come.
        if self.late.is_set():
            raise TimeoutError

    def _cut(self) -> None:
        self.late.set()
        with contextlib.suppress(OSError, AttributeError):
            self.sock.shutdown(socket.SHUT_RDWR)


@lru_cache(maxsize=1)
def _tls() -> ssl.SSLContext:
    # Reading the system's certificates takes longer than a handshake.
    return ssl.create_default_context()
