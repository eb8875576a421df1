"""Shapes of requests, for validation and for the OpenAPI document. Meaning is checked by the use cases."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel, ConfigDict, Field, model_validator

NAME = r"^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$"
DIGEST = r"^sha256:[0-9a-f]{64}$"
ROLE = r"^[a-z0-9-]{1,80}$"
Name = Field(pattern=NAME)


def _check_text(value: Any) -> None:
    """Refuse text that no database stores: NUL, and halves of surrogate pairs."""
    match value:
        case str():
            if "\x00" in value or any("\ud800" <= c <= "\udfff" for c in value):
                raise ValueError("text without NUL and lone surrogates is needed")
        case dict():
            for key, item in value.items():
                _check_text(key)
                _check_text(item)
        case list():
            for item in value:
                _check_text(item)


class Body(BaseModel):
    """A request body; unknown fields are refused, so that a slip is not ignored."""

    model_config = ConfigDict(extra="forbid", strict=True)

    @model_validator(mode="before")
    @classmethod
    def _storable(cls, value: Any) -> Any:
        _check_text(value)
        return value


class AppPath(BaseModel):
    """``/v1/apps/<app>``."""

    app: str = Name


class ArtifactPath(AppPath):
    """An artifact by digest."""

    digest: str = Field(pattern=DIGEST)


class RolePath(AppPath):
    """A TUF role."""

    role: str = Field(pattern=ROLE)


class HeadPath(AppPath):
    """All releases of one head."""

    name: str = Name


class ChannelPath(AppPath):
    """A channel for one base."""

    channel: str = Name
    base_id: str = Name


class ChannelHeadPath(ChannelPath):
    """A head on a channel."""

    name: str = Name


class OfferPath(ChannelHeadPath):
    """One offered release."""

    release: int = Field(ge=1, lt=10**9)


class RolloutPath(AppPath):
    """A rollout."""

    rollout: str = Field(pattern=r"^[0-9a-f]{16}$")


class TokenPath(AppPath):
    """A token of an app."""

    token: str = Field(pattern=r"^[0-9a-f]{16}$")


class PageQuery(BaseModel):
    """Paging through a log: the newest ``limit`` entries before ``before``."""

    limit: int = Field(default=100, ge=1, le=1000)
    before: int | None = Field(default=None, ge=1, le=2**53)


class WhenQuery(BaseModel):
    """A moment, in seconds since 1970."""

    at: int | None = Field(default=None, ge=0, le=2**53)


class BaseQuery(BaseModel):
    """A base by digest."""

    base: str = Field(pattern=DIGEST)


class PreviewBody(Body):
    """Device profiles to decide for."""

    profiles: list[dict[str, Any]] = Field(min_length=1, max_length=1_000)


class AppBody(Body):
    """A new app."""

    app: str = Name


class TokenBody(Body):
    """A new token of an app."""

    scopes: list[str] = Field(min_length=1, max_length=4)
    note: str = Field(default="", max_length=200)
    expires_after_s: int | None = Field(default=None, ge=1, le=10 * 366 * 86_400)


class TrustBody(Body):
    """First metadata of an app, each file in base64."""

    root: str
    targets: str
    delegated: dict[str, str] = Field(max_length=200)


class BaseBody(Body):
    """A base version; ``manifest`` in base64, exactly as it will be signed."""

    base_id: str = Name
    version: str = Field(max_length=32)
    manifest: str
    provenance: dict[str, Any] | None = None
    dry_run: bool = False


class HeadBody(Body):
    """A head release; ``custom`` are the facts to be signed, ``proof`` one proof or one for each base."""

    base_id: str = Name
    name: str = Name
    release: int = Field(ge=1, lt=10**9)
    manifest: str
    custom: dict[str, Any]
    proof: dict[str, Any] | list[dict[str, Any]]
    provenance: dict[str, Any] | None = None
    dry_run: bool = False


class StageBody(Body):
    """A stage of a rollout."""

    permyriad: int = Field(ge=0, le=10_000)
    soak_s: int = Field(default=0, ge=0)
    min_confirmed: int = Field(default=1, ge=1)


class OfferBody(Body):
    """Offer a release: to ``permyriad`` of 10,000 devices now, then as ``schedule`` says."""

    release: int = Field(ge=1, lt=10**9)
    permyriad: int | None = Field(default=None, ge=0, le=10_000)
    salt: str | None = Field(default=None, max_length=64)
    pins: list[str] = Field(default=[], max_length=100)
    excludes: list[str] = Field(default=[], max_length=100)
    schedule: list[StageBody] = Field(default=[], max_length=20)
    policy: dict[str, int] = Field(default={})


class RecallBody(Body):
    """Order devices off a head, by the digest of its ``head.mlmodel``."""

    digest: str = Field(pattern=DIGEST)
    reason: str = Field(min_length=1, max_length=500)


class PersonaliseBody(Body):
    """Whether devices may train a head."""

    directive: str = Field(max_length=16)


class PollBody(Body):
    """How often devices of a channel poll."""

    poll_after_s: int = Field(ge=1, le=30 * 86_400)


class OutcomesBody(Body):
    """A batch of device reports; may be sent with ``Content-Encoding: gzip``."""

    app: str = Name
    events: list[dict[str, Any]]
