"""The poll, answered from its bytes: ``GET /apps/<app>/metadata/timestamp.json``.

This is the one request that every device makes all day, so it does the least that is right: the bytes of a request are
understood once and remembered, one ``stat`` of the public file for each turn of the loop, an answer that is ready. Only
a plain poll is answered here; whatever is unusual goes to the application, which gives the same answer more slowly. No
database, no log line, no cookie, no thread.
"""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Callable
from dataclasses import dataclass
from email.utils import formatdate
from pathlib import Path

from headway_server.caching import NO_CACHE
from headway_server.plain import END, UNUSUAL, fields_of

_FIRST = re.compile(rb"GET (/apps/[a-z0-9][a-z0-9-]{0,62}/metadata/timestamp\.json) HTTP/1\.1")
_UNUSUAL = UNUSUAL | frozenset(b"content-length if-match if-range if-unmodified-since range".split())
"""Fields that ask for more than a poll, or announce a body."""
_REMEMBERED = 2_000
_MOST_BYTES = 2_048
"""A longer request is understood again each time: what strangers send must not fill the memory."""

Signature = tuple[int, int, int]


@dataclass(frozen=True, slots=True)
class Poll:
    """What a request asks: the path below the public tree, and the entity tag that the device has."""

    path: str
    tag: bytes | None


@dataclass(frozen=True, slots=True)
class _File:
    signature: Signature
    tag: bytes
    unchanged: bytes
    full: bytes


def understand(request: bytes) -> Poll | None:
    """The poll that these bytes are, exactly one and whole; None if they are anything else (RFC 9112 §3 and §5)."""
    first, *lines = request.split(b"\r\n")
    found = _FIRST.fullmatch(first)
    if found is None or lines[-2:] != [b"", b""]:
        return None
    fields = fields_of(lines[:-2], _UNUSUAL)
    return None if fields is None else Poll(found[1].decode(), fields.get(b"if-none-match"))


class Polls:
    """Answers to polls from the public tree at ``public``; ``count`` is told once a second what was given."""

    def __init__(self, public: Path, count: Callable[[str, int], None]) -> None:
        self._root, self._count = os.fspath(public), count
        self._understood: dict[bytes, Poll] = {}
        self._files: dict[str, _File] = {}
        self._turn: dict[str, tuple[bytes, bytes, bytes] | None] = {}
        self._second, self._date = -1, b""
        self._unchanged = self._full = 0

    def begin_turn(self, now: float) -> None:
        """Forget what the last turn saw: requests that come after this are answered from the files as they are then."""
        self._turn.clear()
        if int(now) != self._second:
            self._begin_second(int(now))

    def answer(self, request: bytes) -> bytes | None:
        """The whole answer to a whole request, or None: then it is the application's."""
        poll = self._understood.get(request)
        if poll is None:
            poll = understand(request)
            if poll is None:
                return None
            self._remember(request, poll)
        path = poll.path
        ready = self._turn[path] if path in self._turn else self._look(path)
        if ready is None:
            return None
        tag, unchanged, full = ready
        if poll.tag == tag:
            self._unchanged += 1
            return unchanged
        if poll.tag is not None and len(poll.tag) != len(tag):
            return None  # a list, a star, a weak tag: legal, and rare
        self._full += 1
        return full

    def _begin_second(self, second: int) -> None:
        self._second = second
        self._date = formatdate(second, usegmt=True).encode()
        self._count("304", self._unchanged)
        self._count("200", self._full)
        self._unchanged = self._full = 0

    def _remember(self, request: bytes, poll: Poll) -> None:
        if len(request) > _MOST_BYTES:
            return
        if len(self._understood) >= _REMEMBERED:
            self._understood.clear()
        self._understood[request] = poll

    def _look(self, path: str) -> tuple[bytes, bytes, bytes] | None:
        try:
            found = os.stat(self._root + path)
            signature = (found.st_mtime_ns, found.st_size, found.st_ino)
            file = self._files.get(path)
            if file is None or file.signature != signature:
                file = self._load(path, signature)
        except OSError:
            self._turn[path] = None
            return None
        date = self._date
        ready = self._turn[path] = (
            file.tag,
            b"HTTP/1.1 304 Not Modified\r\nDate: " + date + file.unchanged,
            b"HTTP/1.1 200 OK\r\nDate: " + date + file.full,
        )
        return ready

    def _load(self, path: str, signature: Signature) -> _File:
        body = Path(self._root + path).read_bytes()
        tag = f'"{hashlib.sha256(body).hexdigest()}"'
        fields = f"\r\nETag: {tag}\r\nCache-Control: {NO_CACHE}\r\n".encode()
        kind = f"Content-Type: application/json\r\nX-Content-Type-Options: nosniff\r\nContent-Length: {len(body)}"
        file = _File(signature, tag.encode(), fields + b"\r\n", fields + kind.encode() + END + body)
        if len(self._files) >= _REMEMBERED:
            self._files.clear()
        self._files[path] = file
        return file
