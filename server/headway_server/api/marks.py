"""Aliases, labels and the search over HTTP."""

from __future__ import annotations

from typing import Any, cast

from flask import Response, g
from flask_openapi.blueprint import APIBlueprint
from flask_openapi.models.tag import Tag
from pydantic import BaseModel, Field

from headway_server.api import schemas as s
from headway_server.api.http import answer, authenticate, caller, ports
from headway_server.catalog import marks
from headway_server.catalog.search import SEARCH_STATES, Found, place_of, search
from headway_server.ports import Actor
from headway_server.records import MarkRecord, TokenRecord
from headway_server.repositories_marks import MarkKey, SearchQuery

api = APIBlueprint("catalog", __name__, url_prefix="/v1", abp_tags=[Tag(name="catalog")], abp_security=[{"token": []}])
api.before_request(authenticate)

_VERSION = r"^[0-9][0-9.]{0,31}$"
_OPTIONAL_NAME = Field(default=None, pattern=s.NAME)


class _Thing(s.Body):
    base_id: str = s.Name
    name: str | None = Field(default=None, pattern=s.NAME, description="The head; absent for a base.")
    expect: str | None = Field(
        default=None, max_length=200, description="What stands there now (null: nothing); absent: whatever it is."
    )
    note: str = Field(default="", max_length=200)

    def expected(self) -> marks.Expected | None:
        """What the caller believes; None where he did not say."""
        return marks.Expected(self.expect) if "expect" in self.model_fields_set else None


class AliasBody(_Thing):
    """Let an alias point to a release of a head or a version of a base; ``release`` null removes it."""

    alias: str = s.Name
    release: str | None = Field(pattern=_VERSION)


class LabelBody(_Thing):
    """Set a label of a release of a head or a version of a base; ``value`` null removes it."""

    release: str = Field(pattern=_VERSION)
    key: str = s.Name
    value: str | None = Field(max_length=200)


class AliasQuery(BaseModel):
    """Which aliases; ``at`` asks for those that stood at that time, in seconds since 1970."""

    base_id: str | None = _OPTIONAL_NAME
    name: str | None = _OPTIONAL_NAME
    alias: str | None = _OPTIONAL_NAME
    at: int | None = Field(default=None, ge=0, le=2**53)


class LabelQuery(BaseModel):
    """Which labels; ``at`` asks for those that stood at that time, in seconds since 1970."""

    base_id: str | None = _OPTIONAL_NAME
    name: str | None = _OPTIONAL_NAME
    release: str | None = Field(default=None, pattern=_VERSION)
    key: str | None = _OPTIONAL_NAME
    at: int | None = Field(default=None, ge=0, le=2**53)


class AliasHistoryQuery(BaseModel):
    """One alias; ``name`` absent: of a base."""

    base_id: str = s.Name
    name: str | None = _OPTIONAL_NAME
    alias: str = s.Name


class LabelHistoryQuery(BaseModel):
    """One label; ``name`` absent: of a base."""

    base_id: str = s.Name
    name: str | None = _OPTIONAL_NAME
    release: str = Field(pattern=_VERSION)
    key: str = s.Name


class CatalogQuery(BaseModel):
    """What to look for; what is absent does not narrow. ``after`` is ``next`` of the page before."""

    kind: str | None = Field(default=None, pattern=r"^(head|base)$")
    name: str | None = Field(default=None, pattern=r"^[a-z0-9][a-z0-9-]{0,62}$", description="How the name begins.")
    label: str | None = Field(default=None, pattern=r"^[a-z0-9][a-z0-9-]{0,62}(=[^\x00-\x1f\x7f]{1,200})?$")
    alias: str | None = _OPTIONAL_NAME
    digest: str | None = Field(default=None, pattern=r"^(sha256:)?[0-9a-f]{4,64}$")
    base: str | None = Field(default=None, pattern=r"^(sha256:[0-9a-f]{4,64}|[a-z0-9][a-z0-9-]{0,62})$")
    state: str | None = Field(default=None, pattern=rf"^({'|'.join(SEARCH_STATES)})$")
    publisher: str | None = Field(default=None, pattern=r"^[a-z]+(:[A-Za-z0-9-]{1,64})?$|^[0-9a-f]{16}$")
    since: int | None = Field(default=None, ge=0, le=2**53)
    until: int | None = Field(default=None, ge=0, le=2**53)
    limit: int = Field(default=50, ge=1, le=200)
    after: str | None = Field(default=None, max_length=400)


@api.get("/apps/<app>/aliases")
def list_aliases(path: s.AppPath, query: AliasQuery) -> Response:
    """The aliases that stand, or stood at a time."""
    caller("read", path.app)
    key = MarkKey(path.app, query.base_id or "", query.name or "", "", query.alias or "")
    return answer({"aliases": [_alias(record) for record in marks.aliases(ports(), key, at=query.at)]})


@api.put("/apps/<app>/aliases")
def put_alias(path: s.AppPath, body: AliasBody) -> Response:
    """Point an alias to a release, or remove it. Devices do not see aliases: channels decide what they get."""
    actor = _publisher(path.app)
    key = MarkKey(path.app, body.base_id, body.name or "", "", body.alias)
    record, new = marks.point(ports(), actor, key, body.release, expect=body.expected(), note=body.note)
    return answer({"alias": None if record is None else _alias(record), "changed": new})


@api.get("/apps/<app>/aliases/history")
def get_alias_history(path: s.AppPath, query: AliasHistoryQuery) -> Response:
    """Everything that an alias ever pointed to, oldest first."""
    caller("read", path.app)
    key = MarkKey(path.app, query.base_id, query.name or "", "", query.alias)
    return answer({"history": [_alias(record) for record in marks.history(ports(), key)]})


@api.get("/apps/<app>/labels")
def list_labels(path: s.AppPath, query: LabelQuery) -> Response:
    """The labels that stand, or stood at a time."""
    caller("read", path.app)
    key = MarkKey(path.app, query.base_id or "", query.name or "", query.release or "", query.key or "")
    return answer({"labels": [_label(record) for record in marks.labels(ports(), key, at=query.at)]})


@api.put("/apps/<app>/labels")
def put_label(path: s.AppPath, body: LabelBody) -> Response:
    """Set a label of a release, or remove it."""
    actor = _publisher(path.app)
    key = MarkKey(path.app, body.base_id, body.name or "", body.release, body.key)
    record, new = marks.label(ports(), actor, key, body.value, expect=body.expected(), note=body.note)
    return answer({"label": None if record is None else _label(record), "changed": new})


@api.get("/apps/<app>/labels/history")
def get_label_history(path: s.AppPath, query: LabelHistoryQuery) -> Response:
    """Everything that a label of a release ever was, oldest first."""
    caller("read", path.app)
    key = MarkKey(path.app, query.base_id, query.name or "", query.release, query.key)
    return answer({"history": [_label(record) for record in marks.history(ports(), key)]})


@api.get("/apps/<app>/search")
def get_search(path: s.AppPath, query: CatalogQuery) -> Response:
    """Releases of heads and bases that fit everything asked for, newest first."""
    caller("read", path.app)
    found, following = search(ports(), _query(path.app, query))
    return answer({"found": [_found(item) for item in found], "next": following})


def _publisher(app: str) -> Actor:
    """The caller, if he may publish or release."""
    scopes = cast(TokenRecord, g.token).scopes
    return caller("release" if "release" in scopes and "publish" not in scopes else "publish", app)


def _query(app: str, query: CatalogQuery) -> SearchQuery:
    key, equals, value = (query.label or "").partition("=")
    base = query.base or ""
    by_digest = base.startswith("sha256:")
    publisher = query.publisher
    if publisher is not None and ":" not in publisher:
        publisher = f"token:{publisher}"
    return SearchQuery(
        app=app,
        kind=query.kind,
        name=query.name,
        label=(key, value if equals else None) if query.label else None,
        alias=query.alias,
        digest=None if query.digest is None else query.digest.removeprefix("sha256:"),
        base=base if base and not by_digest else None,
        base_digest=base.removeprefix("sha256:") if by_digest else None,
        state=query.state,
        publisher=publisher,
        since=query.since,
        until=query.until,
        after=None if query.after is None else place_of(query.after),
        limit=query.limit,
    )


def _alias(record: MarkRecord) -> dict[str, Any]:
    return {**_about(record), "alias": record.key, "release": record.value, **_change(record)}


def _label(record: MarkRecord) -> dict[str, Any]:
    return {
        **_about(record), "release": record.release, "key": record.key, "value": record.value, **_change(record),
    }  # fmt: skip


def _about(record: MarkRecord) -> dict[str, Any]:
    return {"base_id": record.base_id, "name": record.name or None}


def _change(record: MarkRecord) -> dict[str, Any]:
    return {"seq": record.seq, "at": record.at, "actor": record.actor, "note": record.note}


def _found(found: Found) -> dict[str, Any]:
    release = found.release
    return {
        "kind": "head" if release.name else "base",
        "base_id": release.base_id,
        "name": release.name or None,
        "release": release.release,
        "digest": release.digest,
        "state": release.state,
        "publisher": release.publisher,
        "created_at": release.created_at,
        "aliases": list(found.aliases),
        "labels": found.labels,
    }
