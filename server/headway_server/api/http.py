"""What every view needs: the ports, who calls, and how an answer is written."""

from __future__ import annotations

import base64
import binascii
from typing import Any, cast

from flask import Response, current_app, g, jsonify, request

from headway.contract.errors import RefusedError, malformed
from headway_server.access import check_token
from headway_server.catalog import tokens
from headway_server.delivery.ratelimit import LIMITS, Limits
from headway_server.plain import request_id_from
from headway_server.ports import EXTENSION, Actor, Ports
from headway_server.records import TokenRecord

REQUEST_ID_HEADER = "X-Request-Id"


def ports() -> Ports:
    """The ports that :func:`headway_server.app.create_app` put in."""
    return cast(Ports, current_app.extensions[EXTENSION])


def request_id() -> str:
    """This request's id: the caller's if it is harmless, else a new one."""
    if "request_id" not in g:
        g.request_id = request_id_from(request.headers.get(REQUEST_ID_HEADER, ""))
    return str(g.request_id)


def limits() -> Limits:
    """The limits that :func:`headway_server.app.create_app` put in."""
    return cast(Limits, current_app.extensions[LIMITS])


def authenticate() -> None:
    """Find the caller's token, before anything of the request is read.

    Raises:
        RefusedError: codes ``not_authenticated`` and ``rate_limited``.
    """
    kind, _, text = request.headers.get("Authorization", "").partition(" ")
    if kind.lower() != "bearer" or not text:
        raise tokens.not_authenticated()
    g.token = check_token(ports(), limits(), text.strip(), request.remote_addr or "")
    limits().api.check(g.token.id, "requests with this token")


def caller(scope: str, app: str | None) -> Actor:
    """The caller, if his token allows ``scope`` on ``app``; raises ``not_allowed``."""
    token = cast(TokenRecord, g.token)
    tokens.allow(token, scope, app)
    return Actor(f"token:{token.id}", request_id())


def own_app() -> str | None:
    """The only app that the caller's token is for, or None."""
    return cast(TokenRecord, g.token).app


def answer(value: Any, status: int = 200) -> Response:
    """``value`` as JSON. Answers of the API are never stored by a cache."""
    response = jsonify(value)
    response.status_code = status
    response.headers["Cache-Control"] = "no-store"
    return response


def body_bytes(most: int) -> bytes:
    """The request's raw body, at most ``most`` bytes; more is answered with 413."""
    request.max_content_length = most
    return request.get_data(cache=False)


def decode_base64(text: str, name: str) -> bytes:
    """Bytes of a base64 field.

    Raises:
        RefusedError: code ``malformed``.
    """
    try:
        return base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError) as error:
        raise malformed("request", f"$.{name}", "base64") from error


def length() -> int:
    """The announced size of the body in bytes.

    Raises:
        RefusedError: code ``length_required``.
    """
    if request.content_length is None:
        raise RefusedError(
            "length_required",
            "The size of the upload must be announced.",
            hint="Send Content-Length with the size of the file.",
        )
    return request.content_length
