"""Webhooks over HTTP: an app's administrator says where its events are sent, and looks after what was sent."""

from __future__ import annotations

from typing import Any

from flask import Response
from flask_openapi.blueprint import APIBlueprint
from flask_openapi.models.tag import Tag
from pydantic import BaseModel, Field

from headway_server.api import schemas as s
from headway_server.api.http import answer, authenticate, caller, ports
from headway_server.notifying import hooks
from headway_server.records import DeliveryRecord, WebhookRecord

api = APIBlueprint(
    "webhooks", __name__, url_prefix="/v1", abp_tags=[Tag(name="webhooks")], abp_security=[{"token": []}]
)
api.before_request(authenticate)


class WebhookPath(s.AppPath):
    """A webhook of an app."""

    webhook: str = Field(pattern=r"^[0-9a-f]{16}$")


class DeliveryPath(WebhookPath):
    """A message to a webhook."""

    message: str = Field(pattern=r"^msg_[0-9a-f]{24}$")


class WebhookBody(s.Body):
    """Where to send which events."""

    url: str = Field(max_length=2048)
    events: list[str] = Field(min_length=1, max_length=50)
    note: str = Field(default="", max_length=200)


class DeliveriesQuery(BaseModel):
    """Which messages to list: the newest ``limit`` before ``before``, in one state or all."""

    state: str | None = Field(default=None, pattern=r"^(pending|delivered|dead)$")
    limit: int = Field(default=50, ge=1, le=500)
    before: int | None = Field(default=None, ge=1, le=2**53)


@api.get("/apps/<app>/webhooks")
def list_webhooks(path: s.AppPath) -> Response:
    """The webhooks of an app, without their secrets."""
    caller("admin", path.app)
    return answer({"webhooks": [_webhook(record) for record in hooks.listed(ports(), path.app)]})


@api.post("/apps/<app>/webhooks")
def add_webhook(path: s.AppPath, body: WebhookBody) -> Response:
    """Add a webhook; its secret is shown this once."""
    actor = caller("admin", path.app)
    record, secret = hooks.add(ports(), actor, path.app, body.url, body.events, body.note)
    return answer({**_webhook(record), "secret": secret}, 201)


@api.delete("/apps/<app>/webhooks/<webhook>")
def remove_webhook(path: WebhookPath) -> Response:
    """Remove a webhook and everything still to be sent to it."""
    hooks.remove(ports(), caller("admin", path.app), path.app, path.webhook)
    return answer({"id": path.webhook, "removed": True})


@api.post("/apps/<app>/webhooks/<webhook>/secret")
def rotate_secret(path: WebhookPath) -> Response:
    """Make a new secret, shown this once; the old one signs beside it for another day."""
    secret = hooks.rotate(ports(), caller("admin", path.app), path.app, path.webhook)
    return answer({"id": path.webhook, "secret": secret}, 201)


@api.post("/apps/<app>/webhooks/<webhook>/ping")
def ping_webhook(path: WebhookPath) -> Response:
    """Send a test message; look for its fate among the deliveries."""
    actor = caller("admin", path.app)
    return answer(_delivery(hooks.ping(ports(), path.app, path.webhook, actor)), 202)


@api.get("/apps/<app>/webhooks/<webhook>/deliveries")
def list_deliveries(path: WebhookPath, query: DeliveriesQuery) -> Response:
    """What was sent, and what is still to be, newest first; ``seq`` of the last one pages on."""
    caller("admin", path.app)
    found = hooks.deliveries(ports(), path.app, path.webhook, state=query.state, limit=query.limit, before=query.before)
    return answer({"deliveries": [_delivery(record) for record in found]})


@api.post("/apps/<app>/webhooks/<webhook>/deliveries/<message>/resend")
def resend_delivery(path: DeliveryPath) -> Response:
    """Send a message again under its old id, also one that is dead or was delivered."""
    actor = caller("admin", path.app)
    return answer(_delivery(hooks.resend(ports(), actor, path.app, path.webhook, path.message)), 202)


def _webhook(record: WebhookRecord) -> dict[str, Any]:
    return {
        "id": record.id,
        "url": record.url,
        "events": list(record.events),
        "note": record.note,
        "rotated_at": record.rotated_at,
        "created_at": record.created_at,
    }


def _delivery(record: DeliveryRecord) -> dict[str, Any]:
    return {
        "seq": record.seq,
        "message": record.message,
        "event": record.event,
        "state": record.state,
        "attempts": record.attempts,
        "next_at": record.next_at if record.state == "pending" else None,
        "created_at": record.created_at,
        "finished_at": record.finished_at,
        "status": record.status,
        "error": record.error,
        "body": record.body,
    }
