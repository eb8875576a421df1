"""The poll, answered in front of the framework: ``GET /apps/<app>/metadata/timestamp.json``.

This is the one request that every device makes all day, so it does the least that is right: one ``stat`` of the public
file, cached bytes while it is unchanged, ``If-None-Match`` compared as text. Anything unusual goes on to the
application, which gives the same answer more slowly. No database, no log line, no cookie.
"""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from headway_server.caching import NO_CACHE

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIApplication

_POLL = re.compile(r"/apps/([a-z0-9][a-z0-9-]{0,62})/metadata/timestamp\.json")
_MOST_APPS = 10_000

Signature = tuple[int, int, int]
Headers = list[tuple[str, str]]


class PollFront:
    """A WSGI application before another. ``public`` is the public tree's folder; ``count`` is told each status."""

    def __init__(self, behind: WSGIApplication, public: Path, count: Callable[[str], None]) -> None:
        self._behind, self._count = behind, count
        self._root = os.fspath(public)
        self._cache: dict[str, tuple[Signature, str, bytes, Headers, Headers]] = {}

    def __call__(self, environ: dict[str, Any], start_response: StartResponse) -> Iterable[bytes]:
        """Answer a poll, or pass the request on."""
        path = environ["PATH_INFO"]
        if path[-15:] != "/timestamp.json" or environ["REQUEST_METHOD"] != "GET" or "HTTP_RANGE" in environ:
            return self._behind(environ, start_response)
        try:
            found = os.stat(self._root + path)
        except (OSError, ValueError):
            return self._behind(environ, start_response)
        cached = self._cache.get(path)
        signature = (found.st_mtime_ns, found.st_size, found.st_ino)
        if cached is None or cached[0] != signature:
            # Only a well-formed path is ever read, so the stat above can tell nothing to anyone.
            if _POLL.fullmatch(path) is None:
                return self._behind(environ, start_response)
            cached = self._load(path, signature)
        _, etag, body, full, unchanged = cached
        given = environ.get("HTTP_IF_NONE_MATCH")
        if given == etag:
            self._count("304")
            start_response("304 Not Modified", unchanged)
            return ()
        if given is not None and len(given) != len(etag):
            return self._behind(environ, start_response)  # a list, a star, a weak tag: legal, and rare
        self._count("200")
        start_response("200 OK", full)
        return (body,)

    def _load(self, path: str, signature: Signature) -> tuple[Signature, str, bytes, Headers, Headers]:
        body = Path(self._root + path).read_bytes()
        etag = f'"{hashlib.sha256(body).hexdigest()}"'
        unchanged = [("ETag", etag), ("Cache-Control", NO_CACHE)]
        full = [*unchanged, ("Content-Type", "application/json"), ("Content-Length", str(len(body)))]
        if len(self._cache) >= _MOST_APPS:
            self._cache.clear()
        entry = self._cache[path] = (signature, etag, body, full, unchanged)
        return entry
