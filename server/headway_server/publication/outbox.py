"""The outbox: what happened is put down for every webhook that asked for it, in the transaction in which it happened.

So no event is lost when a process dies, and none is told of a change that was rolled back. Which audit action is which
event is decided here alone; what an audit event holds is never secret, so neither is a message.
"""

from __future__ import annotations

import json
import secrets
from datetime import UTC, datetime

from headway_server.ports import Transaction
from headway_server.records import AuditRecord, DeliveryRecord, JsonObject, WebhookRecord

_EVENT_OF = {
    "head.live": "release.published",
    "base.live": "release.published",
    "head.revoked": "release.revoked",
    "base.revoked": "release.revoked",
    "alias.set": "alias.moved",
    "alias.remove": "alias.moved",
    "offer.put": "rollout.offered",
    "offer.yank": "rollout.yanked",
    "rollout.advance": "rollout.advanced",
    "rollout.hold": "rollout.held",
    "rollout.halt": "rollout.halted",
    "rollout.complete": "rollout.completed",
    "head.recall": "recall.issued",
    "timestamp.late": "timestamp.late",
    "trust.establish": "trust.changed",
    "trust.replace_online_keys": "trust.changed",
    "token.create": "token.changed",
    "token.revoke": "token.changed",
}


def event_of(action: str, subject: str) -> str | None:
    """The event that an audit action is told as, or None."""
    if action == "role.publish" and subject in ("root", "targets"):
        return "trust.changed"
    return _EVENT_OF.get(action)


def tell(tx: Transaction, happened: AuditRecord) -> None:
    """Put a delivery into the outbox for each webhook of the app that subscribed to this."""
    event = event_of(happened.action, happened.subject)
    if event is None or happened.app is None:
        return
    hooks = [hook for hook in tx.webhooks.all(happened.app) if event in hook.events]
    if not hooks:
        return
    data = {
        "app": happened.app,
        "subject": happened.subject,
        "action": happened.action,
        "actor": happened.actor,
        "request": happened.request,
        **happened.data,
    }
    tx.webhooks.queue([message(hook, event, data, happened.at) for hook in hooks])


def message(hook: WebhookRecord, event: str, data: JsonObject, now: int) -> DeliveryRecord:
    """A delivery that is due at once. Its body is written here once and sent as it is at every attempt."""
    at = datetime.fromtimestamp(now, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    body = json.dumps({"type": event, "timestamp": at, "data": data}, separators=(",", ":"))
    return DeliveryRecord(0, f"msg_{secrets.token_hex(12)}", hook.app, hook.id, event, body, "pending", 0, now, now)
