"""What every serving process starts with: the server over the settings it was given, and the thread beside it."""

from __future__ import annotations

from headway_server.app import Server, create_app, make_ports
from headway_server.logs import configure
from headway_server.publication.mirror import mirror_all
from headway_server.settings import Settings
from headway_server.watch import Watch


def started(settings: Settings) -> Server:
    """The server of this process: logging is set up, the public tree is whole, and webhooks are being sent."""
    configure(json_lines=settings.log_json)
    ports = make_ports(settings)
    mirror_all(ports)
    server = create_app(ports)
    Watch(ports).start()
    return server
