"""Access tokens: opaque, scoped, hashed at rest. A token can never sign.

``hw_<environment>_<id>_<secret>``: the id finds the row, the secret (256 random bits) is compared by its SHA-256 in
constant time. A fast hash is right here: there is no password to guess. Every failure to authenticate says the same.
"""

from __future__ import annotations

import hashlib
import hmac
import secrets
from collections.abc import Collection

from headway.contract.errors import RefusedError
from headway_server.ports import Actor, Ports
from headway_server.publication import audit
from headway_server.records import SCOPES, TokenRecord

_USED_EVERY_S = 60


def create(
    ports: Ports,
    actor: Actor,
    *,
    app: str | None,
    scopes: Collection[str],
    note: str = "",
    expires_after_s: int | None = None,
) -> tuple[TokenRecord, str]:
    """A new token and, this once, its text.

    Raises:
        RefusedError: codes ``unknown_scope``, ``unknown_app``.
    """
    chosen = tuple(scope for scope in SCOPES if scope in scopes)
    if not chosen or len(chosen) != len(set(scopes)):
        raise RefusedError("unknown_scope", "A token needs known scopes.", hint=f"Choose among {', '.join(SCOPES)}.")
    secret, now = secrets.token_hex(32), ports.clock()
    expires = None if expires_after_s is None else now + expires_after_s
    token = TokenRecord(secrets.token_hex(8), app, chosen, _hash(secret), note[:200], now, expires_at=expires)
    with ports.database.write(app) as tx:
        if app is not None and tx.apps.get(app) is None:
            raise unknown_app(app)
        tx.tokens.add(token)
        audit.record(ports, tx, actor, app, "token.create", token.id, scopes=",".join(chosen))
    return token, f"hw_{ports.settings.environment}_{token.id}_{secret}"


def authenticate(ports: Ports, text: str) -> TokenRecord:
    """The token behind ``text``.

    Raises:
        RefusedError: code ``not_authenticated``.
    """
    parts = text.split("_")
    if len(parts) != 4 or parts[0] != "hw" or parts[1] != ports.settings.environment:
        raise not_authenticated()
    with ports.database.read() as tx:
        token = tx.tokens.get(parts[2][:32])
    now = ports.clock()
    expected = token.secret_sha256 if token is not None else "0" * 64
    matches = hmac.compare_digest(_hash(parts[3]), expected)
    if token is None or not matches or token.revoked_at is not None:
        raise not_authenticated()
    if token.expires_at is not None and token.expires_at <= now:
        raise not_authenticated()
    # Reads must stay reads: the last use is written down once a minute, not once a request.
    if token.last_used_at is None or now - token.last_used_at >= _USED_EVERY_S:
        with ports.database.write() as tx:
            tx.tokens.used(token.id, now)
    return token


def allow(token: TokenRecord, scope: str, app: str | None) -> None:
    """Pass, if ``token`` may do ``scope`` on ``app`` (None: on the whole server).

    A token of one app learns nothing about another, not even whether it exists.

    Raises:
        RefusedError: code ``not_allowed``.
    """
    scoped = scope in token.scopes or "admin" in token.scopes
    placed = token.app is None or (app is not None and token.app == app)
    # Whoever may write may also read what he wrote.
    if scope == "read" and token.scopes:
        scoped = True
    if not (scoped and placed):
        raise RefusedError(
            "not_allowed",
            "This token does not allow that.",
            hint=f"Use a token with the scope {scope} for this app.",
            kind="not_allowed",
        )


def revoke(ports: Ports, actor: Actor, app: str | None, token_id: str) -> None:
    """Revoke a token; with ``app``, only one of that app.

    Raises:
        RefusedError: code ``unknown_token``.
    """
    with ports.database.write(app) as tx:
        token = tx.tokens.get(token_id)
        if token is None or (app is not None and token.app != app):
            raise RefusedError(
                "unknown_token",
                "There is no such token.",
                hint="See them with `headway server list-tokens`.",
                kind="not_found",
            )
        if token.revoked_at is None:
            tx.tokens.revoke(token_id, ports.clock())
            audit.record(ports, tx, actor, token.app, "token.revoke", token_id)


def listed(ports: Ports, app: str | None) -> tuple[TokenRecord, ...]:
    """Tokens of one app, or all."""
    with ports.database.read() as tx:
        return tx.tokens.all(app)


def not_authenticated() -> RefusedError:
    """The one answer to a missing, unknown, wrong, expired or revoked token."""
    return RefusedError(
        "not_authenticated",
        "A valid token is needed.",
        hint="Give a current one (HEADWAY_TOKEN, or Authorization: Bearer); `headway server create-token` makes one.",
        kind="not_authenticated",
    )


def unknown_app(app: str) -> RefusedError:
    """The error for an app that is not there."""
    return RefusedError(
        "unknown_app",
        f"There is no app {app}.",
        hint="Check its name, or create it: `headway keys create`, with an admin token.",
        kind="not_found",
        app=app,
    )


def _hash(secret: str) -> str:
    return hashlib.sha256(secret.encode()).hexdigest()
