"""Run the server in this process tree: migrate, make the first token, heal the public tree, serve, stop gracefully."""

from __future__ import annotations

import sys

from granian import Granian
from granian.constants import Interfaces

from headway_server.app import make_ports
from headway_server.catalog import tokens
from headway_server.db.engine import SqlDatabase
from headway_server.db.migrate import migrate
from headway_server.ports import Actor, Ports
from headway_server.publication.mirror import mirror_all
from headway_server.settings import Settings


def prepare(settings: Settings) -> tuple[Ports, str | None]:
    """Create or migrate the database and heal the public tree; the admin token's text on the very first run."""
    settings.data_dir.mkdir(parents=True, exist_ok=True)
    database = SqlDatabase(settings.resolved_database_url)
    migrate(database.engine)
    ports = make_ports(settings, database=database)
    mirror_all(ports)
    with database.read() as tx:
        first = not tx.tokens.all(None)
    if not first:
        return ports, None
    _, text = tokens.create(ports, Actor("first run", "-"), app=None, scopes=("admin",), note="made on the first run")
    return ports, text


def run(settings: Settings) -> None:
    """Serve until told to stop (SIGINT or SIGTERM: open requests are finished first)."""
    _, token = prepare(settings)
    if token is not None:
        print(f"Admin token (shown this once): {token}", file=sys.stderr, flush=True)
    Granian(
        "headway_server.wsgi:application",
        address=settings.host,
        port=settings.port,
        interface=Interfaces.WSGI,
        workers=settings.workers,
        blocking_threads=settings.threads,
        workers_kill_timeout=30,
        websockets=False,
        log_access=False,
    ).serve()
