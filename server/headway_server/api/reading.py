"""Reading the registry: bases, heads, lineage, proofs, audit, tokens."""

from __future__ import annotations

from typing import Any

from flask import Response
from flask_openapi.blueprint import APIBlueprint
from flask_openapi.models.tag import Tag

from headway.contract.digests import parse_digest
from headway_server.api import schemas as s
from headway_server.api.http import answer, authenticate, caller, ports
from headway_server.api.render import audit_json, base_json, edge_json, head_json, token_json
from headway_server.catalog import impact, lineage, tokens
from headway_server.publication import audit

api = APIBlueprint("reading", __name__, url_prefix="/v1", abp_tags=[Tag(name="reading")], abp_security=[{"token": []}])
api.before_request(authenticate)


@api.get("/apps/<app>/bases")
def list_bases(path: s.AppPath) -> Response:
    """All base versions."""
    caller("read", path.app)
    return answer({"bases": [base_json(record) for record in lineage.bases(ports(), path.app)]})


@api.get("/apps/<app>/heads")
def list_heads(path: s.AppPath) -> Response:
    """All head releases."""
    caller("read", path.app)
    return answer({"heads": _heads(path.app, None)})


@api.get("/apps/<app>/heads/<name>")
def list_head(path: s.HeadPath) -> Response:
    """All releases of one head."""
    caller("read", path.app)
    return answer({"heads": _heads(path.app, path.name)})


def _heads(app: str, name: str | None) -> list[dict[str, Any]]:
    recalled = lineage.recalled_on(ports(), app)
    found = lineage.heads(ports(), app, name)
    return [head_json(record, recalled.get((record.base_id, record.head), ())) for record in found]


@api.get("/apps/<app>/lineage")
def get_lineage(path: s.AppPath) -> Response:
    """The graph of bases and heads: parents, and edges to bases with contract and proof."""
    caller("read", path.app)
    return answer(lineage.graph(ports(), path.app))


@api.get("/apps/<app>/proofs")
def get_proofs(path: s.AppPath) -> Response:
    """Every head×base edge with its evidence."""
    caller("read", path.app)
    return answer({"proofs": [edge_json(edge) for edge in lineage.edges(ports(), path.app)]})


@api.get("/apps/<app>/impact")
def get_impact(path: s.AppPath, query: s.BaseQuery) -> Response:
    """Which heads would run on this base if the app shipped it, which would be lost, and where devices are now."""
    caller("read", path.app)
    found = impact.of_base(ports(), path.app, parse_digest(query.base))
    heads = [
        {"base_id": h.base_id, "name": h.name, "release": h.release, "reasons": list(h.reasons)} for h in found.heads
    ]
    return answer(
        {
            "base": found.base,
            "heads": heads,
            "lost": list(found.lost),
            "lost_permyriad": found.lost_permyriad,
            "confirmations_by_base": found.reports_by_base,
            "shares_by_base": found.shares_by_base,
        }
    )


@api.get("/apps/<app>/audit")
def get_audit(path: s.AppPath, query: s.PageQuery) -> Response:
    """What was changed, newest first."""
    caller("read", path.app)
    events = audit.listed(ports(), path.app, query.limit, query.before)
    return answer({"events": [audit_json(event) for event in events]})


@api.get("/apps/<app>/tokens")
def list_tokens(path: s.AppPath) -> Response:
    """The tokens of an app, without their secrets."""
    caller("admin", path.app)
    return answer({"tokens": [token_json(token) for token in tokens.listed(ports(), path.app)]})


@api.post("/apps/<app>/tokens")
def create_token(path: s.AppPath, body: s.TokenBody) -> Response:
    """Make a token of an app; its text is shown this once."""
    actor = caller("admin", path.app)
    record, text = tokens.create(
        ports(),
        actor,
        app=path.app,
        scopes=body.scopes,
        note=body.note,
        expires_after_s=body.expires_after_s,
    )
    return answer({**token_json(record), "token": text}, 201)


@api.delete("/apps/<app>/tokens/<token>")
def revoke_token(path: s.TokenPath) -> Response:
    """Revoke a token of an app."""
    actor = caller("admin", path.app)
    tokens.revoke(ports(), actor, path.app, path.token)
    return answer({"id": path.token, "revoked": True})
