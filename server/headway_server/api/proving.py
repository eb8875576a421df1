"""Releases looked at closely: gate, waivers, proofs with their dates, and a proof run again."""

from __future__ import annotations

from dataclasses import asdict

from flask import Response
from flask_openapi.blueprint import APIBlueprint
from flask_openapi.models.tag import Tag
from pydantic import Field

from headway.contract.digests import parse_digest
from headway.contract.errors import RefusedError
from headway.contract.manifest import base_manifest_path, head_manifest_path
from headway_server.api import schemas as s
from headway_server.api.http import answer, authenticate, caller, ports
from headway_server.api.render import base_json, edge_json, head_json, proof_run_json
from headway_server.catalog import cards, lineage, reproving

api = APIBlueprint("proving", __name__, url_prefix="/v1", abp_tags=[Tag(name="proving")], abp_security=[{"token": []}])
api.before_request(authenticate)


class HeadReleasePath(s.HeadPath):
    """One release of a head."""

    release: int = Field(ge=1, le=2**53 - 1)


class BaseVersionPath(s.AppPath):
    """One version of a base."""

    base_id: str = s.Name
    version: str = Field(min_length=1, max_length=32)


class EdgeBody(s.Body):
    """Which head release on which base."""

    base_id: str = s.Name
    name: str = s.Name
    release: int = Field(ge=1, le=2**53 - 1)
    base: str = Field(pattern=s.DIGEST)


@api.get("/apps/<app>/heads/<name>/<int:release>")
def get_head_release(path: HeadReleasePath) -> Response:
    """One release on each base id that has it: its record, gate with waivers, and every proof with its date."""
    caller("read", path.app)
    found = [head for head in lineage.heads(ports(), path.app, path.name) if head.release == path.release]
    if not found:
        raise _unknown("head", f"{path.name}@{path.release}")
    edges = [e for e in lineage.edges(ports(), path.app) if (e.name, e.release) == (path.name, path.release)]
    runs = [r for r in reproving.listed(ports(), path.app) if (r.name, r.release) == (path.name, path.release)]
    recalled = lineage.recalled_on(ports(), path.app)
    heads = [
        {
            **head_json(head, recalled.get((head.base_id, head.head), ())),
            "gate": _gate(path.app, head_manifest_path(head.base_id, head.name, head.release), head.manifest),
            "proofs": [edge_json(edge) for edge in edges if edge.base_id == head.base_id],
            "proof_runs": [proof_run_json(run) for run in runs if run.base_id == head.base_id],
        }
        for head in found
    ]
    return answer({"heads": heads})


@api.get("/apps/<app>/bases/<base_id>/<version>")
def get_base_version(path: BaseVersionPath) -> Response:
    """One version of a base: its record and its gate with waivers."""
    caller("read", path.app)
    found = [b for b in lineage.bases(ports(), path.app) if (b.base_id, b.version) == (path.base_id, path.version)]
    if not found:
        raise _unknown("base", f"{path.base_id}@{path.version}")
    gate = _gate(path.app, base_manifest_path(path.base_id, path.version), found[0].manifest)
    return answer({**base_json(found[0]), "gate": gate})


@api.get("/apps/<app>/proofs/runs")
def get_proof_runs(path: s.AppPath) -> Response:
    """The newest proofs that were run again on request, newest first."""
    caller("read", path.app)
    return answer({"runs": [proof_run_json(run) for run in reproving.listed(ports(), path.app)]})


@api.post("/apps/<app>/proofs/runs")
def post_proof_run(path: s.AppPath, body: EdgeBody) -> Response:
    """Run one head's golden batch through one base again and record what came out; older proofs stay."""
    actor = caller("publish", path.app)
    edge = reproving.Edge(body.base_id, body.name, body.release, parse_digest(body.base))
    return answer(proof_run_json(reproving.rerun(ports(), actor, path.app, edge)), 201)


def _gate(app: str, path: str, manifest: str) -> list[dict[str, str | None]]:
    return [asdict(line) for line in cards.gate(ports(), app, path, parse_digest(manifest))]


def _unknown(kind: str, what: str) -> RefusedError:
    return RefusedError(
        f"unknown_{kind}", f"The registry has no {what}.", hint=f"List the {kind}s of the app.", kind="not_found"
    )
