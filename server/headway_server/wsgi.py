"""What a worker process imports, made from the environment's settings; any WSGI server can run ``application``."""

from __future__ import annotations

from headway_server.app import create_app, make_ports
from headway_server.logs import configure
from headway_server.publication.mirror import mirror_all
from headway_server.settings import load
from headway_server.watch import Watch

_settings = load()
configure(json_lines=_settings.log_json)
_ports = make_ports(_settings)
mirror_all(_ports)
server = create_app(_ports)
"""The server of this process."""
application = server.wsgi
"""The WSGI application."""
Watch(_ports).start()
