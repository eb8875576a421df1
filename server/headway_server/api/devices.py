"""What devices call: the static signed files, and the report of outcomes. No token, no account, no cookie.

The read path never touches the database: whatever stands in the public tree is served as it is, with a strong ETag,
304, ranges and the cache headers of :mod:`headway_server.caching`.
"""

from __future__ import annotations

import hashlib
import re
from functools import partial

from flask import Response, request
from flask_openapi.blueprint import APIBlueprint
from flask_openapi.models.tag import Tag
from werkzeug.wsgi import wrap_file

from headway.contract.errors import RefusedError
from headway_server.api import schemas as s
from headway_server.api.http import answer, body_bytes, ports
from headway_server.caching import cache_control, media_type
from headway_server.delivery.intake import Intake
from headway_server.delivery.posted import read_report
from headway_server.delivery.ratelimit import RateLimiter, source_of

_METADATA = re.compile(r"timestamp\.json|[1-9][0-9]{0,15}\.[a-z0-9-]{1,80}\.json")
_TARGET = re.compile(r"(?:[a-z0-9][a-z0-9.-]{0,63}/){1,5}[0-9a-f]{64}\.[a-z0-9][a-z0-9.-]{0,127}")
_ARTIFACT = re.compile(r"[0-9a-f]{64}")
_SMALL_BYTES = 64 * 1024


def make_api(limiter: RateLimiter, intake: Intake) -> APIBlueprint:
    """The blueprint; ``limiter`` bounds outcome requests per source, ``intake`` counts what they report."""
    api = APIBlueprint("devices", __name__, abp_tags=[Tag(name="devices")])

    # Plain rules, not documented operations: what stands here is TUF's, and checked by pattern below.
    for folder, allowed in (("metadata", _METADATA), ("targets", _TARGET), ("artifacts", _ARTIFACT)):
        rule = f"/apps/<app>/{folder}/<path:name>"
        api.add_url_rule(rule, endpoint=folder, view_func=partial(_serve, folder=folder, allowed=allowed))

    @api.post("/v1/outcomes")
    def post_outcomes() -> Response:
        """Report outcomes: ``{"app", "events"}``, gzip allowed, each event counted once."""
        limiter.check(source_of(request.remote_addr or ""), "reports from this source")
        chosen = ports().settings
        encoding = request.headers.get("Content-Encoding", "identity")
        data = body_bytes(chosen.outcomes_max_bytes)
        posted = read_report(data, encoding, chosen.outcomes_max_bytes, chosen.outcomes_max_events)
        tally = intake.report(posted.app, posted.events)
        return answer({"accepted": tally.accepted, "duplicate": tally.duplicate, "ignored": tally.ignored}, status=202)

    return api


def _serve(app: str, name: str, folder: str, allowed: re.Pattern[str]) -> Response:
    path = f"apps/{app}/{folder}/{name}"
    if not (re.fullmatch(s.NAME, app) and allowed.fullmatch(name)):
        raise _no_such_file()
    opened = ports().store.open(path)
    if opened is None:
        raise _no_such_file()
    reader, size = opened
    response = Response(content_type=media_type(path))
    response.headers["Cache-Control"] = cache_control(path)
    if size <= _SMALL_BYTES:
        with reader:
            data = reader.read()
        response.set_data(data)
        response.set_etag(hashlib.sha256(data).hexdigest())
    else:
        response.set_etag(_digest_in(name) or f"{size}-{name}")
        response.response = wrap_file(request.environ, reader, 256 * 1024)
        response.direct_passthrough = True
        response.call_on_close(reader.close)
        response.content_length = size
    response.headers["X-Content-Type-Options"] = "nosniff"
    response.make_conditional(request, accept_ranges=True, complete_length=size)
    return response


def _digest_in(name: str) -> str | None:
    found = re.search(r"[0-9a-f]{64}", name)
    return found.group() if found else None


def _no_such_file() -> RefusedError:
    return RefusedError(
        "no_such_file",
        "There is no such file.",
        hint="Fetch timestamp.json again: paths come from signed metadata only.",
        kind="not_found",
    )
