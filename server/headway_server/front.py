"""The worker process: a loop that reads heads of requests, answers polls and reports, and gives the rest to threads.

gunicorn's threaded worker does the HTTP: parsing, WSGI, answers, stopping. This class decides only who waits where. A
connection costs no thread before the head of a request is whole, and none at all for a poll; plain reports share the
one that commits them. How slowly a client may send is bounded everywhere (:mod:`headway_server.pace`). No TLS, no
HTTP/2: both end at the proxy in front.
"""

from __future__ import annotations

import contextlib
import io
import selectors
import socket
import time
from functools import partial
from typing import Any

from gunicorn.http.body import LengthReader
from gunicorn.workers.gthread import TConn, ThreadWorker

from headway_server.pace import Pace, PacedBody, PacedSocket
from headway_server.plain import END
from headway_server.poll import Polls
from headway_server.report import Announced, Report, Reports, announced

_PIECE_BYTES = 64 * 1024
_MOST_HEAD_BYTES = 64 * 1024
_TOO_LARGE = b"HTTP/1.1 431 Request Header Fields Too Large\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
_LINGER_S = 2.0
"""How long a connection that we ended is still read, so that the client sees the answer (RFC 9112 §9.6)."""


class _Waiting:
    """A connection without a thread: what has come of its next request, and until when it may wait.

    ``needs``: so many bytes make the plain report whole whose head has come; 0 while there is none.
    ``registered``: whether the poller knows it yet, which a thread tells it a moment after the loop could see it.
    """

    __slots__ = ("come", "connection", "ending", "needs", "registered", "until")

    def __init__(self, connection: TConn, until: float) -> None:
        self.connection, self.until = connection, until
        self.come, self.needs, self.ending, self.registered = b"", 0, False, False


class _Chosen:
    """gunicorn's settings, each looked up once: it asks for some forty of them at every request."""

    def __init__(self, settings: Any) -> None:
        self._settings = settings

    def __getattr__(self, name: str) -> Any:
        value = self.__dict__[name] = getattr(self._settings, name)
        return value


class FrontWorker(ThreadWorker):  # type: ignore[misc]
    """gunicorn's threaded worker with polls and reports taken in its loop. ``app`` has these two and ``pace``."""

    def init_process(self) -> None:
        """Prepare, load the application and serve until told to stop."""
        self.cfg: Any = _Chosen(self.cfg)
        self._waiting: dict[int, _Waiting] = {}
        self._taken: list[tuple[TConn, Report]] = []
        self._now = self._swept = time.monotonic()
        super().init_process()

    def load_wsgi(self) -> None:
        """Load the application, and with it what answers polls and takes reports."""
        super().load_wsgi()
        self._polls: Polls | None = self.app.polls
        self._reports: Reports = self.app.reports
        self._pace: Pace = self.app.pace

    def wait_for_and_dispatch_events(self, timeout: float) -> None:
        """Turns of the loop for ``timeout`` seconds: what gunicorn does in between is not done at every request."""
        self._now = time.monotonic()
        until = self._now + timeout
        while True:
            if self._polls is not None:
                self._polls.begin_turn(time.time())
            for key, _ in self.poller.select(max(0.0, until - self._now)):
                key.data(key.fileobj)
            if self._taken:
                self._commit()
            self._now = time.monotonic()
            if self._now >= until or not self.alive or self.nr_conns >= self.worker_connections:
                return

    def accept(self, listener: socket.socket) -> None:
        """Take a new connection; it waits for its first request."""
        try:
            client, address = listener.accept()
        except OSError:
            return  # it went away, or there are no descriptors left; the next turn tries again
        self.nr_conns += 1
        with contextlib.suppress(OSError):
            client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._wait(TConn(self.cfg, client, address, listener.getsockname()))

    def enqueue_req(self, connection: TConn) -> None:
        """Give a connection with a whole head to a thread."""
        self.tpool.submit(self._serve, connection)

    def handle_request(self, request: Any, connection: TConn) -> bool:
        """Answer one request in a thread. A client that does not take the answer in time loses its connection."""
        connection.sock.settimeout(self._pace.pause_s)
        if isinstance(request.body.reader, LengthReader):
            request.body = self._body(connection.parser.unreader, request.body.reader.length)
        try:
            return bool(super().handle_request(request, connection))
        except TimeoutError:
            return False

    def murder_keepalived(self, force: bool = False) -> None:
        """Close what has waited too long; when stopping, all that waits for a request. Half a body gets a thread."""
        now = time.monotonic()
        stopping = force or not self.alive
        if not stopping and now - self._swept < 1.0:
            return
        self._swept = now
        for waiting in list(self._waiting.values()):
            if not waiting.registered:  # a thread is about to: the next sweep sees it
                continue
            if waiting.needs and not force:
                if stopping or now > waiting.until:
                    self._hand_over(waiting, waiting.come)
            elif force or now > waiting.until or (stopping and not waiting.ending):
                self._drop(waiting)

    def _serve(self, connection: TConn) -> None:
        """In a thread: answer, and let the connection wait again. Epoll and kqueue may be told so by any thread."""
        try:
            keep = bool(self.handle(connection)) and self.alive
            if keep and not connection.parser.unreader.buf.tell():
                self._wait(connection)
                return
        except Exception:
            self.log.exception("a connection was given up")
            keep = False
        self.method_queue.defer(self._served, connection, keep)

    def _served(self, connection: TConn, keep: bool) -> None:
        """In the loop again, with a connection that ends, or has sent its next request already."""
        waiting = self._wait(connection)
        if not keep:
            self._end(waiting)
        else:
            self._received(waiting, connection.parser.unreader.take_buffered())

    def _body(self, unreader: Any, length: int) -> io.BufferedReader:
        come = unreader.take_buffered()
        unreader.unread(come[length:])
        return io.BufferedReader(PacedBody(unreader.sock, come[:length], length), _PIECE_BYTES)

    def _wait(self, connection: TConn) -> _Waiting:
        connection.sock.setblocking(False)
        waiting = _Waiting(connection, self._now + self.cfg.keepalive)
        self._waiting[connection.sock.fileno()] = waiting
        self.poller.register(connection.sock, selectors.EVENT_READ, partial(self._readable, waiting))
        waiting.registered = True
        return waiting

    def _forget(self, waiting: _Waiting) -> None:
        self.poller.unregister(waiting.connection.sock)
        del self._waiting[waiting.connection.sock.fileno()]

    def _drop(self, waiting: _Waiting) -> None:
        self._forget(waiting)
        self.nr_conns -= 1
        waiting.connection.close()

    def _end(self, waiting: _Waiting) -> None:
        """Say that no more comes from us, and wait a little for the client to have read it."""
        try:
            waiting.connection.sock.shutdown(socket.SHUT_WR)
        except OSError:
            self._drop(waiting)
            return
        waiting.ending, waiting.until = True, self._now + _LINGER_S

    def _readable(self, waiting: _Waiting, client: socket.socket) -> None:
        try:
            data = client.recv(_PIECE_BYTES)
        except (BlockingIOError, InterruptedError):
            return
        except OSError:
            data = b""
        if not data:
            self._drop(waiting)
        elif not waiting.ending:
            self._received(waiting, data)

    def _received(self, waiting: _Waiting, data: bytes) -> None:
        if waiting.come:
            data = waiting.come + data
        else:
            waiting.until = self._now + self._pace.pause_s
        if self._polls is not None and data.endswith(END) and (answer := self._polls.answer(data)) is not None:
            waiting.come, waiting.until = b"", self._now + self.cfg.keepalive
            self._send(waiting, answer)
        elif len(data) < waiting.needs:
            waiting.come = data
        elif END in data:
            report = announced(data)
            if report is None:
                self._hand_over(waiting, data)
            else:
                self._report(waiting, data, report)
        elif len(data) > _MOST_HEAD_BYTES:
            if self._send(waiting, _TOO_LARGE):
                self._end(waiting)
        else:
            waiting.come = data

    def _report(self, waiting: _Waiting, data: bytes, report: Announced) -> None:
        """Take a report once it is whole; what came after it, or is wrong with it, is for a thread."""
        if len(data) < report.size:
            waiting.come, waiting.needs = data, report.size
            return
        connection = waiting.connection
        taken = self._reports.take(data, report, connection.client[0]) if len(data) == report.size else None
        if taken is None:
            self._hand_over(waiting, data)
        else:
            self._forget(waiting)
            self._taken.append((connection, taken))

    def _commit(self) -> None:
        """Give the reports of this turn to the thread that commits; their connections come back with the answers."""
        taken, self._taken = self._taken, []
        self._reports.commit([report for _, report in taken], partial(self.method_queue.defer, self._reported, taken))

    def _reported(self, taken: list[tuple[TConn, Report]]) -> None:
        for connection, report in taken:
            waiting = self._wait(connection)
            answer = self._reports.answer(report)
            if answer is None:
                self._hand_over(waiting, report.request)
            elif self._send(waiting, answer) and not self.alive:
                self._end(waiting)

    def _send(self, waiting: _Waiting, answer: bytes) -> bool:
        # An answer is smaller than any send buffer: one that does not fit was not read for a long time.
        try:
            sent = waiting.connection.sock.send(answer)
        except OSError:
            sent = 0
        if sent != len(answer):
            self._drop(waiting)
        return bool(sent == len(answer))

    def _hand_over(self, waiting: _Waiting, head: bytes) -> None:
        self._forget(waiting)
        connection = waiting.connection
        connection.data_ready = True
        connection.init()
        unreader = connection.parser.unreader
        unreader.unread(head)
        unreader.sock = PacedSocket(connection.sock, self._pace)
        self.enqueue_req(connection)
