"""Run the server in this process tree: migrate, make the first token, heal the public tree, serve, stop gracefully."""

from __future__ import annotations

import socket
import sys

from headway.contract.errors import RefusedError
from headway_server.app import make_ports
from headway_server.catalog import tokens
from headway_server.db.engine import SqlDatabase, reach
from headway_server.db.migrate import migrate
from headway_server.ports import Actor, Ports
from headway_server.publication.mirror import mirror_all
from headway_server.service import Service
from headway_server.settings import Settings


def prepare(settings: Settings) -> tuple[Ports, str | None]:
    """Create or migrate the database and heal the public tree; the admin token's text on the very first run."""
    settings.data_dir.mkdir(parents=True, exist_ok=True)
    database = SqlDatabase(settings.resolved_database_url)
    reach(database.engine)
    migrate(database.engine)
    ports = make_ports(settings, database=database)
    mirror_all(ports)
    with database.read() as tx:
        first = not tx.tokens.all(None)
    text = None
    if first:
        made = Actor("first run", "-")
        _, text = tokens.create(ports, made, app=None, scopes=("admin",), note="made on the first run")
    # Workers are forked from this process: no open connection may cross into them.
    database.engine.dispose()
    return ports, text


def run(settings: Settings) -> None:
    """Serve until told to stop: SIGTERM finishes open requests first, SIGINT does not wait for them.

    Raises:
        RefusedError: code ``cannot_listen``, before anything was made or migrated.
    """
    _check_address(settings.host, settings.port)
    _, token = prepare(settings)
    if token is not None:
        print(f"Admin token (shown this once): {token}", file=sys.stderr, flush=True)
    print(f"Serving {settings.data_dir} on http://{settings.host}:{settings.port}", file=sys.stderr, flush=True)
    Service(settings).run()


def _check_address(host: str, port: int) -> None:
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        with socket.socket(family, kind, protocol) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind(address)
    except OSError as error:
        raise RefusedError(
            "cannot_listen",
            f"Cannot listen on {host}:{port} ({error.strerror}).",
            hint="Stop what listens there, or choose another --port (or --host).",
            kind="conflict",
        ) from error
