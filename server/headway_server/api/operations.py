"""Health, readiness and metrics: for whoever runs the server. They say nothing about any app's content."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from dataclasses import dataclass

from flask import Flask, Response, g, request
from flask_openapi.blueprint import APIBlueprint
from flask_openapi.models.tag import Tag
from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, Counter, Gauge, Histogram, generate_latest

from headway.contract.errors import TransferError
from headway_server.api.http import REQUEST_ID_HEADER, answer, ports, request_id

_log = logging.getLogger("headway.server")


@dataclass(frozen=True, slots=True)
class Metrics:
    """The server's own figures, in a registry of their own so that two servers in one process do not mix."""

    registry: CollectorRegistry
    requests: Counter
    seconds: Histogram
    polls: Counter
    webhooks: Gauge

    @classmethod
    def create(cls) -> Metrics:
        """Fresh figures."""
        registry = CollectorRegistry()
        return cls(
            registry,
            Counter("headway_requests", "Requests by endpoint and status.", ["endpoint", "status"], registry=registry),
            Histogram("headway_request_seconds", "Time to answer.", ["endpoint"], registry=registry),
            Counter("headway_polls", "Polls of timestamp.json by status.", ["status"], registry=registry),
            Gauge("headway_webhook_messages", "Webhook messages that did not arrive.", ["state"], registry=registry),
        )

    def answered(self, endpoint: str, status: int) -> Callable[[float], None]:
        """What counts one answer of this endpoint and status, told how many seconds it took."""
        requests, seconds = self.requests.labels(endpoint, str(status)), self.seconds.labels(endpoint)

        def count(took_s: float) -> None:
            requests.inc()
            seconds.observe(took_s)

        return count


def make_api(metrics: Metrics) -> APIBlueprint:
    """The blueprint."""
    api = APIBlueprint("operations", __name__, abp_tags=[Tag(name="operations")])

    @api.get("/healthz")
    def healthz() -> Response:
        """The process answers."""
        return answer({"status": "ok"})

    @api.get("/readyz")
    def readyz() -> Response:
        """Database and storage answer."""
        try:
            with ports().database.read() as tx:
                tx.apps.get("readyz")
            ports().store.size("apps/readyz/metadata/timestamp.json")
        except Exception as error:
            _log.warning("not ready", exc_info=error)
            raise TransferError(
                "not_ready",
                "The database or the storage does not answer.",
                hint="Run `headway server doctor` on the machine.",
                retry_after_s=5,
            ) from error
        return answer({"status": "ready"})

    @api.get("/metrics")
    def prometheus() -> Response:
        """Figures in Prometheus' text format."""
        _count_webhooks(metrics.webhooks)
        return Response(generate_latest(metrics.registry), content_type=CONTENT_TYPE_LATEST)

    return api


def _count_webhooks(gauge: Gauge) -> None:
    """Ask the database now, so that every worker tells the same; without a database the other figures still come."""
    try:
        with ports().database.read() as tx:
            found = tx.webhooks.backlog(0)
    except Exception as error:  # noqa: BLE001 - whatever it was, the other figures are worth having
        _log.warning("webhook messages were not counted", exc_info=error)
        gauge.clear()
        return
    gauge.labels("pending").set(sum(backlog.pending for backlog in found))
    gauge.labels("dead").set(sum(backlog.dead for backlog in found))


def observe(app: Flask, metrics: Metrics) -> None:
    """Count and time every request that reaches Flask, and log it. Never logged: headers, bodies, tokens, addresses."""

    def begin() -> None:
        g.began = time.perf_counter()

    def finish(response: Response) -> Response:
        took_s = time.perf_counter() - g.get("began", time.perf_counter())
        endpoint = request.endpoint or "none"
        metrics.answered(endpoint, response.status_code)(took_s)
        response.headers[REQUEST_ID_HEADER] = request_id()
        # Files that devices read are counted, not logged: they would drown the rest, and say who reads what.
        if endpoint.startswith("devices.") and response.status_code < 400:
            return response
        _log.info(
            "request",
            extra={
                "method": request.method,
                "path": request.path,
                "status": response.status_code,
                "ms": round(took_s * 1000, 2),
                "request": request_id(),
            },
        )
        return response

    app.before_request(begin)
    app.after_request(finish)
