"""Files on their way in: in one piece, or in parts that survive broken connections."""

from __future__ import annotations

from collections.abc import Iterator

from flask import Response, request
from flask_openapi.blueprint import APIBlueprint
from flask_openapi.models.tag import Tag
from pydantic import Field

from headway.contract.digests import parse_digest
from headway.contract.errors import RefusedError
from headway_server.api import schemas as s
from headway_server.api.http import answer, authenticate, caller, length, ports
from headway_server.catalog import upload_parts, uploads
from headway_server.catalog.upload_parts import UploadState

_CHUNK_BYTES = 256 * 1024

api = APIBlueprint(
    "uploading", __name__, url_prefix="/v1", abp_tags=[Tag(name="publishing")], abp_security=[{"token": []}]
)
api.before_request(authenticate)


class UploadBody(s.Body):
    """A large file to come: its digest and its size in bytes."""

    digest: str = Field(pattern=s.DIGEST)
    size: int = Field(ge=1, lt=2**53)


class PartPath(s.ArtifactPath):
    """One part of a large file, numbered from 1."""

    number: int = Field(ge=1, le=upload_parts.MAX_PARTS)


@api.get("/apps/<app>/artifacts/<digest>")
def find_artifact(path: s.ArtifactPath) -> Response:
    """Whether an artifact was uploaded (also by HEAD)."""
    caller("read", path.app)
    found = uploads.find(ports(), path.app, parse_digest(path.digest))
    if found is None:
        raise RefusedError(
            "unknown_artifact", "The app has no such artifact.", hint="Upload it with PUT.", kind="not_found"
        )
    return answer({"digest": found.digest, "size": found.size})


@api.put("/apps/<app>/artifacts/<digest>")
def put_artifact(path: s.ArtifactPath) -> Response:
    """Upload a file under its digest; it is hashed while it arrives. ``Content-Length`` is required."""
    actor = caller("publish", path.app)
    size = length()
    new = uploads.receive(ports(), actor, path.app, parse_digest(path.digest), size, _chunks(size))
    return answer({"digest": path.digest, "new": new}, 201 if new else 200)


@api.get("/apps/<app>/uploads")
def list_uploads(path: s.AppPath) -> Response:
    """The large uploads that are under way."""
    caller("publish", path.app)
    found = upload_parts.listed(ports(), path.app)
    shown = [{"digest": u.digest, "size": u.size, "expires_at": u.expires_at, "by": u.actor} for u in found]
    return answer({"uploads": shown})


@api.post("/apps/<app>/uploads")
def begin_upload(path: s.AppPath, body: UploadBody) -> Response:
    """Begin a large upload, or find the one of this digest: which parts are missing, and where to send them."""
    actor = caller("publish", path.app)
    state = upload_parts.begin(ports(), actor, path.app, parse_digest(body.digest), body.size)
    return answer(_state_json(state), 201 if state.new else 200)


@api.get("/apps/<app>/uploads/<digest>")
def find_upload(path: s.ArtifactPath) -> Response:
    """Where a large upload stands."""
    caller("publish", path.app)
    return answer(_state_json(upload_parts.state(ports(), path.app, parse_digest(path.digest))))


@api.put("/apps/<app>/uploads/<digest>/parts/<int:number>")
def put_part(path: PartPath) -> Response:
    """Send one part; the body is its exact bytes. Sending it again is harmless. ``Content-Length`` is required."""
    caller("publish", path.app)
    size = length()
    upload_parts.receive_part(ports(), path.app, parse_digest(path.digest), path.number, size, _chunks(size))
    return answer({"digest": path.digest, "number": path.number})


@api.post("/apps/<app>/uploads/<digest>/complete")
def complete_upload(path: s.ArtifactPath) -> Response:
    """Join and hash the parts: from now on the file is an artifact. Wrong bytes end the upload with 422."""
    actor = caller("publish", path.app)
    new = upload_parts.complete(ports(), actor, path.app, parse_digest(path.digest))
    return answer({"digest": path.digest, "new": new}, 201 if new else 200)


@api.delete("/apps/<app>/uploads/<digest>")
def abandon_upload(path: s.ArtifactPath) -> Response:
    """Give a large upload up; its parts are removed."""
    actor = caller("publish", path.app)
    upload_parts.abandon(ports(), actor, path.app, parse_digest(path.digest))
    return answer({"digest": path.digest})


def _state_json(state: UploadState) -> dict[str, object]:
    record = state.record
    missing = [{"number": p.number, "offset": p.offset, "size": p.size, "url": p.url} for p in state.missing]
    return {
        "digest": state.digest,
        "size": state.size,
        "stored": record is None,
        "part_bytes": None if record is None else record.part_bytes,
        "parts": 0 if record is None else len(record.numbers()),
        "missing": missing,
        "missing_count": state.missing_count,
        "expires_at": None if record is None else record.expires_at,
    }


def _chunks(size: int) -> Iterator[bytes]:
    """The body, piece by piece as the server got it: the framework's own stream copies every byte twice more."""
    stream, left = request.environ["wsgi.input"], size
    while left > 0 and (chunk := stream.read(min(_CHUNK_BYTES, left))):
        left -= len(chunk)
        yield chunk
