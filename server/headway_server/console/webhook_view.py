"""Webhooks for a page: where events go, how the last messages fared, and which were given up. Never a secret.

Of an address only the host and the first part of the path are shown: receivers such as chat rooms keep their secret in
the rest of it.
"""

from __future__ import annotations

from dataclasses import dataclass
from urllib.parse import urlsplit

from headway_server.notifying import hooks
from headway_server.ports import Ports
from headway_server.records import DeliveryRecord, WebhookRecord

_LAST, _DEAD = 10, 20


@dataclass(frozen=True, slots=True)
class HookView:
    """One webhook: its shortened address, its newest messages but those that were given up, and those."""

    hook: WebhookRecord
    address: str
    last: tuple[DeliveryRecord, ...]
    dead: tuple[DeliveryRecord, ...]

    @property
    def state(self) -> str:
        """``dead`` (messages were given up), ``pending`` (one failed and waits), ``delivered``, or ``quiet``."""
        if self.dead:
            return "dead"
        if any(one.state == "pending" and one.attempts for one in self.last):
            return "pending"
        return "delivered" if self.last else "quiet"


def of_app(ports: Ports, app: str) -> tuple[HookView, ...]:
    """The webhooks of an app, oldest first. Raises ``unknown_app``."""
    return tuple(
        HookView(
            hook,
            shortened(hook.url),
            tuple(one for one in _listed(ports, hook, None, _LAST) if one.state != "dead"),
            _listed(ports, hook, "dead", _DEAD),
        )
        for hook in hooks.listed(ports, app)
    )


def _listed(ports: Ports, hook: WebhookRecord, state: str | None, most: int) -> tuple[DeliveryRecord, ...]:
    return hooks.deliveries(ports, hook.app, hook.id, state=state, limit=most, before=None)


def shortened(url: str) -> str:
    """An address without what may be secret: no user, no query, only the first part of the path."""
    parts = urlsplit(url)
    host = parts.netloc.rpartition("@")[2]
    first, _, rest = parts.path.lstrip("/").partition("/")
    more = "/…" if rest or parts.query or parts.fragment else ""
    return f"{parts.scheme}://{host}/{first}{more}"
