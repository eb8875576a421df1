"""The audit log: every state change, by whom, in the same transaction as the change.

What is written down here is also told to the app's webhooks: it is put into the outbox in that same transaction.
"""

from __future__ import annotations

from headway.contract.errors import JsonScalar
from headway_server.ports import Actor, Ports, Transaction
from headway_server.publication import outbox
from headway_server.records import AuditRecord


def record(
    ports: Ports, tx: Transaction, actor: Actor, app: str | None, action: str, subject: str, **data: JsonScalar
) -> None:
    """Add an event. ``action`` is ``noun.verb``; ``subject`` names the thing; ``data`` never holds a secret."""
    event = AuditRecord(0, app, ports.clock(), actor.name, action, subject[:300], actor.request, dict(data))
    tx.audit.add(event)
    outbox.tell(tx, event)


def listed(ports: Ports, app: str | None, limit: int, before: int | None) -> tuple[AuditRecord, ...]:
    """The newest events, newest first."""
    with ports.database.read() as tx:
        return tx.audit.all(app, limit=limit, before=before)
