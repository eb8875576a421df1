"""What an application server imports: ``headway_server.wsgi:application``, made from the environment's settings."""

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
application = create_app(_ports).wsgi
"""The WSGI application."""
Watch(_ports).start()
