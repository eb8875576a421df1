"""The publisher's half of the API: apps, trust, roles, bases, heads. Files come in by ``uploading``."""

from __future__ import annotations

import re

from flask import Response
from flask_openapi.blueprint import APIBlueprint
from flask_openapi.models.tag import Tag

from headway.contract.errors import malformed
from headway.contract.parsing import decode
from headway.trust.bins import MAX_BITS
from headway.trust.repository import TrustFiles
from headway_server.api import schemas as s
from headway_server.api.http import answer, authenticate, body_bytes, caller, decode_base64, own_app, ports
from headway_server.api.render import base_json, edge_json, head_json
from headway_server.catalog import apps, bases, heads, trust
from headway_server.catalog.signed_heads import update_heads
from headway_server.catalog.signed_releases import Accepted

_MOST_ROLES = 1 + (1 << MAX_BITS)
_TOGETHER = 16  # times the size of one role: 10,000 heads in their bins, base64
_ROLE = re.compile(s.ROLE)
api = APIBlueprint(
    "publishing", __name__, url_prefix="/v1", abp_tags=[Tag(name="publishing")], abp_security=[{"token": []}]
)
api.before_request(authenticate)


@api.get("/apps")
def list_apps() -> Response:
    """The apps that this token may see."""
    caller("read", own_app())
    listed = [record.app for record in apps.listed(ports()) if own_app() in (None, record.app)]
    return answer({"apps": listed})


@api.post("/apps")
def create_app(body: s.AppBody) -> Response:
    """Create an app and its online keys; repeating it gives the same keys."""
    keys, new = apps.create(ports(), caller("admin", None), body.app)
    return answer({"app": body.app, "online_keys": keys.to_json()}, 201 if new else 200)


@api.post("/apps/<app>/online-keys")
def replace_online_keys(path: s.AppPath) -> Response:
    """Make new online keys; they count once new root and targets, signed by their holders, list them."""
    keys = trust.replace_online_keys(ports(), caller("admin", path.app), path.app)
    return answer({"app": path.app, "online_keys": keys.to_json()}, 201)


@api.post("/apps/<app>/trust")
def establish_trust(path: s.AppPath, body: s.TrustBody) -> Response:
    """Send the first metadata of an app."""
    actor = caller("publish", path.app)
    files = TrustFiles(
        decode_base64(body.root, "root"),
        decode_base64(body.targets, "targets"),
        {role: decode_base64(data, f"delegated.{role}") for role, data in body.delegated.items()},
    )
    new = trust.establish(ports(), actor, path.app, files)
    return answer({"app": path.app, "new": new}, 201 if new else 200)


@api.get("/apps/<app>/roles")
def list_roles(path: s.AppPath) -> Response:
    """The number of the newest version of every role."""
    caller("read", path.app)
    return answer({"roles": trust.role_versions(ports(), path.app)})


@api.post("/apps/<app>/roles")
def post_roles(path: s.AppPath) -> Response:
    """Publish signed roles of one base's heads together or not at all: ``{"roles": {role: base64}}``."""
    actor = caller("publish", path.app)
    fields = decode(body_bytes(_TOGETHER * ports().settings.role_max_bytes), "roles").nested("roles")
    names = fields.names()
    if not 1 <= len(names) <= _MOST_ROLES or not all(_ROLE.fullmatch(name) for name in names):
        raise malformed("roles", "$.roles", f"1 to {_MOST_ROLES} roles by name")
    most = ports().settings.role_max_bytes * 4 // 3 + 4
    roles = {name: decode_base64(fields.text(name, max_length=most), "roles") for name in names}
    return answer({"roles": [_accepted(one) for one in update_heads(ports(), actor, path.app, roles)]})


@api.get("/apps/<app>/roles/<role>")
def get_role(path: s.RolePath) -> Response:
    """The exact signed bytes of a role; its version stands in ``X-Role-Version``."""
    caller("read", path.app)
    record = trust.current_role(ports(), path.app, path.role)
    response = Response(record.data, content_type="application/json")
    response.headers["X-Role-Version"] = str(record.version)
    response.headers["Cache-Control"] = "no-store"
    return response


@api.post("/apps/<app>/roles/<role>")
def post_role(path: s.RolePath) -> Response:
    """Publish a signed role; the body is its exact bytes. A lost race is 409: sign again on top."""
    actor = caller("publish", path.app)
    accepted = trust.update(ports(), actor, path.app, path.role, body_bytes(ports().settings.role_max_bytes))
    return answer(_accepted(accepted))


def _accepted(accepted: Accepted) -> dict[str, object]:
    counted = {} if accepted.heads is None else {"heads": accepted.heads}
    return {
        "role": accepted.role,
        "version": accepted.version,
        "changed": accepted.changed,
        "waiting_for": list(accepted.waiting_for),
        **counted,
    }


@api.post("/apps/<app>/bases")
def post_base(path: s.AppPath, body: s.BaseBody) -> Response:
    """Register a base version after its files were uploaded; the answer holds the facts to sign."""
    actor = caller("publish", path.app)
    upload = bases.BaseUpload(
        body.base_id, body.version, decode_base64(body.manifest, "manifest"), body.provenance, body.dry_run
    )
    record, new = bases.register(ports(), actor, path.app, upload)
    return answer(base_json(record), 201 if new and not body.dry_run else 200)


@api.post("/apps/<app>/heads")
def post_head(path: s.AppPath, body: s.HeadBody) -> Response:
    """Register a head release after its files were uploaded: validated, judged and proven before it may be signed."""
    actor = caller("publish", path.app)
    upload = heads.HeadUpload(
        base_id=body.base_id,
        name=body.name,
        release=body.release,
        manifest=decode_base64(body.manifest, "manifest"),
        custom=body.custom,
        proofs=tuple(body.proof) if isinstance(body.proof, list) else (body.proof,),
        provenance=body.provenance,
        dry_run=body.dry_run,
    )
    done = heads.register(ports(), actor, path.app, upload)
    value = {**head_json(done.head), "edges": [edge_json(edge) for edge in done.edges]}
    return answer(value, 201 if done.new and not body.dry_run else 200)
