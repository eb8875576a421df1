"""Putting the server together: the only place that knows concrete classes."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

from flask import redirect
from flask_openapi.models.info import Info
from flask_openapi.openapi import OpenAPI
from werkzeug.middleware.proxy_fix import ProxyFix

from headway import __version__
from headway_server.api import (
    delivering,
    devices,
    errors,
    marks,
    operations,
    proving,
    publishing,
    reading,
    uploading,
    webhooks,
)
from headway_server.api.operations import Metrics
from headway_server.console.views import console
from headway_server.db.engine import SqlDatabase
from headway_server.delivery.intake import Intake
from headway_server.delivery.ratelimit import LIMITS, make_limits
from headway_server.examining import make_examiner
from headway_server.poll import Polls
from headway_server.ports import EXTENSION, Clock, Database, ModelExaminer, Ports, PublicStore, Staging
from headway_server.report import ENDPOINT, Reports
from headway_server.settings import Settings
from headway_server.signing.files import FileSigner
from headway_server.signing.secret import FileSecret
from headway_server.storage.filesystem import FilesystemStore
from headway_server.storage.memory import MemoryStore
from headway_server.storage.staging import FolderStaging, MemoryStaging

if TYPE_CHECKING:
    from _typeshed.wsgi import WSGIApplication


@dataclass(frozen=True, slots=True)
class Server:
    """A server put together: the framework's application, the same behind its proxies, its ports, polls and reports.

    ``polls`` answers polls before the application sees them; None where the public tree is no folder of this machine.
    ``reports`` takes plain reports before the application sees them.
    """

    app: OpenAPI
    wsgi: WSGIApplication
    ports: Ports
    polls: Polls | None
    reports: Reports


def make_ports(
    settings: Settings,
    *,
    clock: Clock | None = None,
    database: Database | None = None,
    store: PublicStore | None = None,
    staging: Staging | None = None,
    examiner: ModelExaminer | None = None,
) -> Ports:
    """The ports that ``settings`` ask for; any of them may be given instead."""
    store = store or make_store(settings)
    return Ports(
        database=database or SqlDatabase(settings.resolved_database_url),
        store=store,
        staging=staging or make_staging(settings, store),
        signer=FileSigner(settings.keys_dir),
        secret=FileSecret(settings.keys_dir),
        examiner=examiner or make_examiner(settings),
        clock=clock or (lambda: int(time.time())),
        settings=settings,
    )


def make_store(settings: Settings) -> PublicStore:
    """The public tree's storage that ``settings`` ask for."""
    if settings.storage == "filesystem":
        return FilesystemStore(settings.public_dir)
    # Here and not above: without a bucket nobody needs boto3 in memory.
    from headway_server.storage.s3 import S3Location, S3Store

    location = S3Location(
        bucket=settings.s3_bucket,
        prefix=settings.s3_prefix,
        endpoint_url=settings.s3_endpoint_url,
        region=settings.s3_region,
        access_key_id=settings.s3_access_key_id,
        secret_access_key=settings.s3_secret_access_key.get_secret_value(),
        public_endpoint_url=settings.s3_public_endpoint_url,
    )
    return S3Store(location, settings.work_dir)


def make_staging(settings: Settings, store: PublicStore) -> Staging:
    """Where parts of large uploads wait, beside the store that they will be in."""
    match store:
        case FilesystemStore():
            return FolderStaging(store)
        case MemoryStore():
            return MemoryStaging(store)
    from headway_server.storage.s3 import S3Store
    from headway_server.storage.s3_staging import S3Staging

    if isinstance(store, S3Store):
        return S3Staging(store, presigned=settings.s3_presigned_uploads)
    raise ValueError("give a staging place for a store of another kind")


def create_app(ports: Ports) -> Server:
    """The server over these ports. The database must have been migrated."""
    settings = ports.settings
    app = OpenAPI(
        "headway_server",
        info=Info(title="Headway registry", version=__version__, summary="Publish, roll out and deliver heads."),
        security_schemes={"token": {"type": "http", "scheme": "bearer"}},
        validation_error_callback=errors.on_invalid_body,
    )
    app.config["MAX_CONTENT_LENGTH"] = settings.json_max_bytes
    app.json.sort_keys = False  # type: ignore[attr-defined]
    app.extensions[EXTENSION] = ports
    metrics = Metrics.create()
    operations.observe(app, metrics)
    errors.install(app)
    limits = app.extensions[LIMITS] = make_limits(ports)
    intake = Intake(ports)
    for api in (
        publishing.api,
        uploading.api,
        reading.api,
        proving.api,
        delivering.api,
        webhooks.api,
        marks.api,
        devices.make_api(limits.outcomes, intake),
        operations.make_api(metrics),
    ):
        app.register_api(api)
    app.register_blueprint(console)
    app.add_url_rule("/", endpoint="root", view_func=lambda: redirect("/console/"))
    wsgi: WSGIApplication = app
    polls = None
    if isinstance(ports.store, FilesystemStore):
        counters = {status: metrics.polls.labels(status) for status in ("200", "304")}
        polls = Polls(ports.store.root, lambda status, times: counters[status].inc(times))
    if settings.trusted_proxies:
        count = settings.trusted_proxies
        wsgi = ProxyFix(wsgi, x_for=count, x_proto=count, x_host=count)
    reports = Reports(intake, limits.outcomes, settings, metrics.answered(ENDPOINT, 202))
    return Server(app, wsgi, ports, polls, reports)
