"""Apps: each has its own TUF repository, its own online keys and its own tokens."""

from __future__ import annotations

from headway.contract.versions import parse_name
from headway.trust.online import OnlineKeys
from headway_server.catalog.tokens import unknown_app
from headway_server.ports import Actor, Ports, Transaction
from headway_server.publication import audit
from headway_server.records import AppRecord


def create(ports: Ports, actor: Actor, app: str) -> tuple[OnlineKeys, bool]:
    """Make an app and its online keys; whether it is new. Repeating it gives the same keys.

    Raises:
        RefusedError: code ``malformed`` (the name).
    """
    parse_name(app, what="app")
    keys = ports.signer.keys(app)
    with ports.database.write() as tx:
        new = tx.apps.add(AppRecord(app, ports.clock()))
        if new:
            audit.record(ports, tx, actor, app, "app.create", app)
    return keys, new


def listed(ports: Ports) -> tuple[AppRecord, ...]:
    """All apps by name."""
    with ports.database.read() as tx:
        return tx.apps.all()


def known(tx: Transaction, app: str) -> AppRecord:
    """The app.

    Raises:
        RefusedError: code ``unknown_app``.
    """
    record = tx.apps.get(app)
    if record is None:
        raise unknown_app(app)
    return record
