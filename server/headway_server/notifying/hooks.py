"""Webhooks of an app: add, list, rotate, remove, ping, and look after what was sent.

The secret is derived from the server's own and the webhook's id; it is shown when the webhook is added or its secret
is rotated, and stands nowhere else. After a rotation both secrets sign for a day, so that a receiver can follow.
"""

from __future__ import annotations

import secrets
from collections.abc import Sequence

from headway.contract.errors import RefusedError
from headway.contract.webhooks import EVENTS, PING, secret_text
from headway_server.catalog import apps
from headway_server.notifying.post import check_url
from headway_server.ports import Actor, Ports, Transaction
from headway_server.publication import audit, outbox
from headway_server.records import DeliveryRecord, WebhookRecord

MOST_PER_APP = 20
OVERLAP_S = 86_400


def add(
    ports: Ports, actor: Actor, app: str, url: str, events: Sequence[str], note: str = ""
) -> tuple[WebhookRecord, str]:
    """A new webhook and, this once, its secret.

    Raises:
        RefusedError: codes ``unknown_app``, ``bad_url``, ``unknown_event``, ``too_many_webhooks``.
    """
    check_url(url, private=ports.settings.webhook_private_networks)
    unknown = sorted(set(events) - set(EVENTS))
    if unknown or not events:
        raise RefusedError(
            "unknown_event",
            f"{(unknown or ['nothing'])[0][:40]!r} is no event.",
            hint=f"Choose among {', '.join(EVENTS)}.",
        )
    chosen = tuple(event for event in EVENTS if event in events)
    record = WebhookRecord(app, secrets.token_hex(8), url, chosen, note[:200], 1, None, ports.clock())
    with ports.database.write(app) as tx:
        apps.known(tx, app)
        if len(tx.webhooks.all(app)) >= MOST_PER_APP:
            raise RefusedError(
                "too_many_webhooks",
                f"The app has {MOST_PER_APP} webhooks, which is the most.",
                hint="Remove one that nobody listens to.",
                kind="conflict",
            )
        tx.webhooks.add(record)
        audit.record(ports, tx, actor, app, "webhook.add", record.id, events=",".join(chosen))
    return record, secret_text(keys_of(ports, record)[0])


def listed(ports: Ports, app: str) -> tuple[WebhookRecord, ...]:
    """The webhooks of an app, oldest first; raises ``unknown_app``."""
    with ports.database.read() as tx:
        apps.known(tx, app)
        return tx.webhooks.all(app)


def remove(ports: Ports, actor: Actor, app: str, webhook: str) -> None:
    """Forget a webhook and everything still to be sent to it; raises ``unknown_webhook``."""
    with ports.database.write(app) as tx:
        _known(tx, app, webhook)
        tx.webhooks.remove(app, webhook)
        audit.record(ports, tx, actor, app, "webhook.remove", webhook)


def rotate(ports: Ports, actor: Actor, app: str, webhook: str) -> str:
    """A new secret, shown this once; the old one also signs for another day. Raises ``unknown_webhook``."""
    with ports.database.write(app) as tx:
        record = _known(tx, app, webhook)
        tx.webhooks.rotate(app, webhook, record.secret_version + 1, ports.clock())
        audit.record(ports, tx, actor, app, "webhook.rotate", webhook)
    return secret_text(_key(ports, record, record.secret_version + 1))


def ping(ports: Ports, app: str, webhook: str, actor: Actor) -> DeliveryRecord:
    """Put a test message into the outbox; raises ``unknown_webhook``."""
    with ports.database.write(app) as tx:
        record = _known(tx, app, webhook)
        data = {"app": app, "webhook": webhook, "actor": actor.name}
        queued = outbox.message(record, PING, data, ports.clock())
        tx.webhooks.queue([queued])
        return queued


def deliveries(
    ports: Ports, app: str, webhook: str, *, state: str | None, limit: int, before: int | None
) -> tuple[DeliveryRecord, ...]:
    """What was and will be sent, newest first; raises ``unknown_webhook``."""
    with ports.database.read() as tx:
        _known(tx, app, webhook)
        return tx.webhooks.deliveries(app, webhook, state=state, limit=limit, before=before)


def resend(ports: Ports, actor: Actor, app: str, webhook: str, message: str) -> DeliveryRecord:
    """Send a message again, under its old id, with all its attempts before it.

    Raises:
        RefusedError: codes ``unknown_webhook``, ``unknown_delivery``.
    """
    with ports.database.write(app) as tx:
        _known(tx, app, webhook)
        if tx.webhooks.delivery(app, webhook, message) is None:
            raise _unknown_delivery()
        tx.webhooks.retry(app, message, ports.clock())
        audit.record(ports, tx, actor, app, "webhook.resend", f"{webhook} {message}")
        again = tx.webhooks.delivery(app, webhook, message)
    if again is None:
        raise _unknown_delivery()
    return again


def keys_of(ports: Ports, record: WebhookRecord) -> tuple[bytes, ...]:
    """The keys that sign for a webhook now, the current one first."""
    current = _key(ports, record, record.secret_version)
    if record.rotated_at is None or ports.clock() - record.rotated_at >= OVERLAP_S:
        return (current,)
    return current, _key(ports, record, record.secret_version - 1)


def _key(ports: Ports, record: WebhookRecord, version: int) -> bytes:
    return ports.secret.derive("webhook", record.app, record.id, str(version))


def _known(tx: Transaction, app: str, webhook: str) -> WebhookRecord:
    record = tx.webhooks.get(app, webhook)
    if record is None:
        raise RefusedError(
            "unknown_webhook", "There is no such webhook.", hint="List the webhooks of the app.", kind="not_found"
        )
    return record


def _unknown_delivery() -> RefusedError:
    return RefusedError(
        "unknown_delivery",
        "There is no such message.",
        hint="List the deliveries of the webhook; finished ones go after a month.",
        kind="not_found",
    )
