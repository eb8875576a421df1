"""Webhooks: the events a registry tells, and how a message is signed and verified.

The wire format is Standard Webhooks 1.0 (headers ``webhook-id``, ``webhook-timestamp`` and ``webhook-signature``;
HMAC-SHA256 over ``id.timestamp.body``; secrets are ``whsec_`` and base64): receivers may use any library that knows it.
A message may arrive more than once and out of order: its id stays the same, and a receiver does each id once.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from headway.contract.errors import RefusedError, UntrustedError, malformed

EVENTS: dict[str, str] = {
    "release.published": "A base or head became live in signed metadata.",
    "release.revoked": "A publisher signed a release as revoked.",
    "alias.moved": "An alias points to another release, or to none.",
    "rollout.offered": "A release is offered on a channel, or its offer was changed.",
    "rollout.advanced": "A rollout went on to its next stage, or was resumed.",
    "rollout.held": "A rollout is offered to nobody new.",
    "rollout.halted": "A rollout stopped for good.",
    "rollout.completed": "A rollout reached everybody it was meant for, in good health.",
    "rollout.yanked": "A release is no longer offered.",
    "recall.issued": "Devices are ordered off a head.",
    "timestamp.late": "A timestamp was not renewed in time; devices will soon refuse new releases.",
    "trust.changed": "Root or targets changed, or new online keys were made.",
    "token.changed": "An access token of the app was made or revoked.",
}
"""Every event that can be subscribed to, with what it says."""

PING = "webhook.ping"
"""The event of a test message; it is sent only when asked for, and needs no subscription."""

TOLERANCE_S = 300
"""How far a message's time may be from the receiver's clock."""

_PREFIX = "whsec_"
_MESSAGE = re.compile(r"[A-Za-z0-9_-]{1,64}")


@dataclass(frozen=True, slots=True)
class WebhookEvent:
    """A verified message. ``message`` is its id, the same at every attempt; ``at`` is ISO 8601 in UTC."""

    message: str
    type: str
    at: str
    data: dict[str, Any]


def secret_text(key: bytes) -> str:
    """A secret as it is shown and configured."""
    return _PREFIX + base64.b64encode(key).decode()


def headers_for(message: str, timestamp: int, body: bytes, keys: Iterable[bytes]) -> dict[str, str]:
    """The three headers of one attempt at ``timestamp`` (seconds since 1970), signed with each of ``keys``."""
    signatures = (f"v1,{_signature(key, message, str(timestamp), body)}" for key in keys)
    return {"webhook-id": message, "webhook-timestamp": str(timestamp), "webhook-signature": " ".join(signatures)}


def verify_webhook(
    secret: str, headers: Mapping[str, str], body: bytes, *, now: float, tolerance_s: int = TOLERANCE_S
) -> WebhookEvent:
    """The event in a request that a registry sent; ``body`` must be the exact bytes received.

    Raises:
        UntrustedError: codes ``bad_signature`` (also for a missing header) and ``stale_message``.
        RefusedError: code ``malformed``; the secret is none, or what was signed is no event.
    """
    given = {name.lower(): value for name, value in headers.items()}
    message, timestamp = given.get("webhook-id", ""), given.get("webhook-timestamp", "")
    key = _key(secret)
    expected = f"v1,{_signature(key, message, timestamp, body)}".encode()
    # Every part is compared, so that the time taken tells nothing about which one fits.
    matches = [hmac.compare_digest(part.encode(), expected) for part in given.get("webhook-signature", "").split(" ")]
    if not any(matches) or not _MESSAGE.fullmatch(message) or not re.fullmatch(r"[0-9]{1,15}", timestamp):
        raise UntrustedError(
            "bad_signature",
            "The message was not signed with this secret.",
            hint="Verify the exact bytes received, with the secret that was shown when the webhook was added.",
        )
    if abs(now - int(timestamp)) > tolerance_s:
        raise UntrustedError(
            "stale_message",
            "The message was signed too long ago, or in the future.",
            hint="Set the receiver's clock; a repeated old message must be ignored.",
        )
    return _event(message, body)


def _event(message: str, body: bytes) -> WebhookEvent:
    try:
        value = json.loads(body)
    except (ValueError, RecursionError) as error:
        raise malformed("webhook", "$", "JSON in UTF-8") from error
    match value:
        case {"type": str(kind), "timestamp": str(at), "data": dict(data)}:
            return WebhookEvent(message, kind, at, data)
        case _:
            raise malformed("webhook", "$", "an object with type, timestamp and data")


def _signature(key: bytes, message: str, timestamp: str, body: bytes) -> str:
    content = message.encode() + b"." + timestamp.encode() + b"." + body
    return base64.b64encode(hmac.new(key, content, hashlib.sha256).digest()).decode()


def _key(secret: str) -> bytes:
    try:
        key = base64.b64decode(secret.removeprefix(_PREFIX), validate=True)
    except (binascii.Error, ValueError):
        key = b""
    if not 16 <= len(key) <= 64:
        raise RefusedError(
            "malformed",
            "That is no webhook secret.",
            hint="Give the text beginning with whsec_ that was shown when the webhook was added.",
        )
    return key
