"""What gunicorn is told: our settings in its words, and what each worker loads."""

from __future__ import annotations

import resource
from typing import TYPE_CHECKING

from gunicorn.app.base import BaseApplication

from headway_server.pace import Pace
from headway_server.poll import Polls
from headway_server.report import Reports
from headway_server.settings import Settings

if TYPE_CHECKING:
    from _typeshed.wsgi import WSGIApplication

_CONNECTIONS = 4_000
_OWN_FILES = 200
"""Descriptors that a worker needs beside its connections: database, files, pipes."""


class Service(BaseApplication):  # type: ignore[misc]
    """An application of gunicorn's; its workers find ``polls``, ``reports`` and ``pace`` here."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self.polls: Polls | None = None
        self.reports: Reports | None = None
        self.pace = Pace(settings.client_pause_s, settings.client_bytes_per_s)
        super().__init__()

    def load_config(self) -> None:
        """Translate the settings."""
        chosen = self._settings
        host = f"[{chosen.host}]" if ":" in chosen.host else chosen.host
        for name, value in {
            "bind": f"{host}:{chosen.port}",
            "worker_class": "headway_server.front.FrontWorker",
            "workers": chosen.workers,
            "threads": chosen.threads,
            "worker_connections": _connections(chosen.threads),
            "keepalive": 30,
            "graceful_timeout": 30,
            # Loading may take long, when a bucket has much to be looked through: no worker is killed for it.
            "timeout": 0,
            "loglevel": "warning",
            # Whom to believe is decided in one place: see trusted_proxies.
            "forwarded_allow_ips": "",
            "control_socket_disable": True,
        }.items():
            self.cfg.set(name, value)

    def load(self) -> WSGIApplication:
        """Make the server of this worker."""
        from headway_server.wsgi import started

        server = started(self._settings)
        self.polls, self.reports = server.polls, server.reports
        return server.wsgi


def _connections(threads: int) -> int:
    """How many connections a worker may hold: as many as it is allowed open files, within reason."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = _CONNECTIONS + _OWN_FILES
    if soft != resource.RLIM_INFINITY and soft < wanted:
        soft = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    return _CONNECTIONS if soft == resource.RLIM_INFINITY else max(threads + 1, min(_CONNECTIONS, soft - _OWN_FILES))
