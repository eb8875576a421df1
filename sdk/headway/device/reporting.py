"""Sending queued outcomes: in batches, each kept until the server took it, none able to block the queue for ever."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

from headway.contract.errors import HeadwayError, RefusedError, TransferError
from headway.contract.outcome import Outcome
from headway.device import events as ev
from headway.device.bundle import AppConfig
from headway.device.driver import HeadDriver, surprise
from headway.device.fetcher import Network
from headway.device.results import FlushResult, Problem

Send = Callable[[Sequence[Outcome]], Iterable[str]]
"""Sends outcomes and answers the event keys that were taken."""

BATCH = 100


def flush(drivers: Iterable[HeadDriver], send: Send) -> FlushResult:
    """Send what all heads have queued, until it is gone or something is in the way."""
    drivers = tuple(drivers)
    sent = dropped = 0
    problem: Problem | None = None
    for driver in drivers:
        while driver.state.outcomes and problem is None:
            batch = driver.state.outcomes[:BATCH]
            taken, problem = _try(send, batch)
            if problem is None:
                sent += len(taken)
            else:
                dropped += len(taken)
            driver.feed(ev.OutcomesSent(taken))
    return FlushResult(sent, sum(len(d.state.outcomes) for d in drivers), dropped, problem)


def _try(send: Send, batch: Sequence[Outcome]) -> tuple[frozenset[str], Problem | None]:
    """The event keys that may leave the queue; with a problem, they leave it unsent."""
    try:
        taken = frozenset(send(batch))
    except RefusedError as error:
        # What the server calls malformed it will never take: keeping it would block the queue for ever. A 403 or 404
        # says nothing about the outcomes, and may come from anything in between.
        hopeless = error.kind in ("invalid", "too_large")
        return frozenset(outcome.event for outcome in batch if hopeless), Problem.of(error)
    except HeadwayError as error:
        return frozenset(), Problem.of(error)
    except Exception as error:  # noqa: BLE001 - ``send`` may be the app's own and may raise anything
        return frozenset(), Problem.of(surprise(error))
    if not taken:
        return taken, Problem("none_taken", "The server took no outcome.", "Try again later.")
    return taken, None


def post(network: Network, config: AppConfig, outcomes: Sequence[Outcome]) -> None:
    """Send a batch to the app's registry; the registry knows repeated events by their keys.

    Raises:
        TransferError: from the network, or ``unexpected_answer``: something else answered for the registry.
        RefusedError: the registry refuses the batch.
    """
    body = {"app": config.app, "events": [outcome.to_json() for outcome in outcomes]}
    answer = network.post_json(config.outcomes_url, body)
    if not (isinstance(answer, dict) and isinstance(answer.get("accepted"), int)):
        raise TransferError(
            "unexpected_answer",
            "What answered to the outcomes is no registry.",
            hint="A captive portal answers for it; the outcomes stay and are sent again later.",
        )
