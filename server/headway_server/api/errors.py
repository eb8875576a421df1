"""Every error leaves as ``application/problem+json``, also those that Flask and Werkzeug raise by themselves.

What always holds: an unexpected error says nothing about our insides; its request id leads to the log.
"""

from __future__ import annotations

import json
import logging
from dataclasses import replace
from http import HTTPStatus
from typing import cast

from flask import Flask, Response
from pydantic import ValidationError
from werkzeug.exceptions import HTTPException

from headway.contract.errors import HeadwayError, RefusedError, TransferError, malformed
from headway.contract.problems import MEDIA_TYPE, Problem, problem_of
from headway_server.api.expectations import expected
from headway_server.api.http import request_id
from headway_server.pace import TOO_SLOW

_log = logging.getLogger("headway.server")

_HINTS = {
    404: "Check the address; the OpenAPI document at /openapi/openapi.json lists all of them.",
    405: "Use one of the methods named in the Allow header.",
    413: "Send less, or let the operator raise the limit.",
    415: "Send the media type that the OpenAPI document names.",
}


def render(problem: Problem) -> Response:
    """A problem document as a response, with the request's id in it."""
    body = json.dumps({**problem.to_json(), "instance": f"urn:headway:request:{request_id()}"}, ensure_ascii=False)
    response = Response(body + "\n", status=problem.status, content_type=MEDIA_TYPE)
    response.headers["Cache-Control"] = "no-store"
    return response


def on_headway_error(error: HeadwayError) -> Response:
    """One of our own errors."""
    problem = problem_of(error)
    if error.code == TOO_SLOW:
        problem = replace(problem, status=HTTPStatus.REQUEST_TIMEOUT.value)
    if problem.status >= 500:
        _log.error("request failed", extra={"code": error.code, "request": request_id()}, exc_info=error)
    response = render(problem)
    if isinstance(error, TransferError) and error.retry_after_s is not None:
        response.headers["Retry-After"] = str(error.retry_after_s)
    if isinstance(error, RefusedError) and isinstance(wait := error.data.get("retry_after_s"), int):
        response.headers["Retry-After"] = str(wait)
    if problem.status == HTTPStatus.UNAUTHORIZED:
        response.headers["WWW-Authenticate"] = 'Bearer realm="headway"'
    return response


def on_http_error(error: HTTPException) -> Response:
    """An error of HTTP itself: no such page, wrong method, too much."""
    status = error.code or 500
    code = (error.name or "error").lower().replace(" ", "_")
    if error.response is not None or 300 <= status < 400:
        return cast(Response, Response.force_type(error.get_response()))
    problem = Problem(
        type=f"/problems/{code}",
        title=error.name,
        status=status,
        detail=error.description or error.name,
        code=code,
        hint=_HINTS.get(status, "Change the request and send it again."),
        data={},
    )
    response = render(problem)
    for name, value in error.get_headers():
        if name.lower() in ("allow", "retry-after", "content-range"):
            response.headers[name] = value
    return response


def on_unexpected(error: Exception) -> Response:
    """A bug or a broken machine: told in the log, not to the caller."""
    _log.error("unexpected error", extra={"request": request_id()}, exc_info=error)
    problem = Problem(
        type="/problems/internal",
        title="Internal error",
        status=500,
        detail="The registry failed to handle this request.",
        code="internal",
        hint="Try again; if it stays, give the operator the request id.",
        data={},
    )
    return render(problem)


def on_invalid_body(error: ValidationError) -> Response:
    """A body or parameter of another shape than the OpenAPI document says."""
    first = error.errors(include_url=False, include_input=False)[0]
    path = "$." + ".".join(str(part) for part in first["loc"]) if first["loc"] else "$"
    return render(problem_of(malformed("request", path, expected(first))))


def install(app: Flask) -> None:
    """Register the handlers."""
    app.register_error_handler(HeadwayError, on_headway_error)
    app.register_error_handler(HTTPException, on_http_error)
    app.register_error_handler(Exception, on_unexpected)
