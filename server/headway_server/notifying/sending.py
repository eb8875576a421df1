"""Send what is due. Any number of processes may do so at once: each message is claimed in the database first.

A claim counts an attempt and holds for a while; a process that dies in between has used that attempt up, and the
message is sent again when the claim ends. So a message arrives at least once, and the receiver does each id once.
"""

from __future__ import annotations

import logging
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

from headway import __version__
from headway.contract.webhooks import headers_for
from headway_server.notifying.hooks import keys_of
from headway_server.notifying.post import post
from headway_server.notifying.retry import Reply, RetryPolicy, Verdict, judge
from headway_server.ports import Ports
from headway_server.records import DeliveryRecord, WebhookRecord

_log = logging.getLogger("headway.webhooks")
_BATCH = 16
_AT_ONCE = 4
_MOST_BATCHES = 20


@dataclass(frozen=True, slots=True)
class Sent:
    """How many messages were delivered, will be tried again, and are dead."""

    delivered: int = 0
    failed: int = 0
    dead: int = 0


def send_due(ports: Ports) -> Sent:
    """Send every message that is due, some at once, until none is left or a round has lasted long enough."""
    total = Sent()
    for _ in range(_MOST_BATCHES):
        states = _send_batch(ports)
        total = Sent(
            total.delivered + states.count("delivered"),
            total.failed + states.count("pending"),
            total.dead + states.count("dead"),
        )
        if len(states) < _BATCH:
            break
    return total


def forget_old(ports: Ports) -> int:
    """Remove messages that were finished long ago; how many."""
    with ports.database.write() as tx:
        return tx.webhooks.forget(ports.clock() - ports.settings.webhook_keep_s)


def _send_batch(ports: Ports) -> list[str]:
    now = ports.clock()
    # Longer than the slowest batch can last, so that nobody else takes what is still being sent.
    until = now + int(_BATCH / _AT_ONCE * ports.settings.webhook_timeout_s) + 30
    with ports.database.read() as tx:
        if not tx.webhooks.any_due(now):
            return []
    with ports.database.write() as tx:
        claimed = tx.webhooks.claim(now, until, _BATCH)
        hooks = {(d.app, d.webhook): tx.webhooks.get(d.app, d.webhook) for d in claimed}
    due = [(d, hook) for d in claimed if (hook := hooks[d.app, d.webhook]) is not None]
    if not due:
        return []
    with ThreadPoolExecutor(_AT_ONCE) as pool:
        return list(pool.map(lambda pair: _send(ports, *pair), due))


def _send(ports: Ports, delivery: DeliveryRecord, hook: WebhookRecord) -> str:
    settings, body = ports.settings, delivery.body.encode()
    headers = {
        **headers_for(delivery.message, ports.clock(), body, keys_of(ports, hook)),
        "content-type": "application/json",
        "user-agent": f"headway/{__version__}",
    }
    private = settings.webhook_private_networks
    reply = post(hook.url, headers, body, timeout_s=settings.webhook_timeout_s, private=private)
    policy = RetryPolicy(settings.webhook_attempts, settings.webhook_first_wait_s, settings.webhook_most_wait_s)
    verdict = judge(reply, delivery.message, delivery.attempts, ports.clock(), policy)
    with ports.database.write() as tx:
        tx.webhooks.settle(
            delivery,
            state=verdict.state,
            next_at=verdict.next_at,
            finished_at=verdict.finished_at,
            status=reply.status,
            error=verdict.error,
        )
    _say(delivery, reply, verdict)
    return verdict.state


def _say(delivery: DeliveryRecord, reply: Reply, verdict: Verdict) -> None:
    # Never the address (it may hold a secret of the receiver), the body or a signature.
    level = {"delivered": logging.INFO, "pending": logging.WARNING, "dead": logging.ERROR}[verdict.state]
    _log.log(
        level,
        "webhook",
        extra={
            "app": delivery.app,
            "webhook": delivery.webhook,
            "delivery": delivery.message,
            "kind": delivery.event,
            "attempt": delivery.attempts,
            "status": reply.status,
            "state": verdict.state,
            "why": verdict.error,
        },
    )
