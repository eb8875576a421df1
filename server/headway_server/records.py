"""What the registry remembers: frozen records, one per row. Times are whole seconds since 1970 (UTC).

Records know nothing of a database; the repositories of :mod:`headway_server.repositories` hand them out and take them.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from headway.contract.digests import Digest

JsonObject = dict[str, Any]

SCOPES = ("admin", "publish", "release", "read")
"""``publish`` adds releases and role versions, ``release`` moves channels and rollouts, ``admin`` may do all."""

RELEASE_STATES = ("registered", "live", "revoked", "unlisted")
"""Not yet signed; in signed metadata; signed as revoked; no longer in signed metadata (the bytes stay)."""

ROLLOUT_STATES = ("running", "held", "halted", "complete", "yanked")


@dataclass(frozen=True, slots=True)
class AppRecord:
    """One app. ``published`` is the timestamp version that the public tree is known to hold."""

    app: str
    created_at: int
    published: int = 0


@dataclass(frozen=True, slots=True)
class TokenRecord:
    """One access token, without its secret. ``app`` None: valid for all apps."""

    id: str
    app: str | None
    scopes: tuple[str, ...]
    secret_sha256: str
    note: str
    created_at: int
    expires_at: int | None = None
    revoked_at: int | None = None
    last_used_at: int | None = None


@dataclass(frozen=True, slots=True)
class RoleVersion:
    """The exact signed bytes of one version of one TUF role."""

    app: str
    role: str
    version: int
    data: bytes
    created_at: int


@dataclass(frozen=True, slots=True)
class TargetFile:
    """A file that signed metadata names: a manifest or a channel document."""

    app: str
    path: str
    digest: Digest
    data: bytes
    created_at: int


@dataclass(frozen=True, slots=True)
class ArtifactRecord:
    """An uploaded file whose bytes were hashed here. ``size`` in bytes."""

    app: str
    digest: Digest
    size: int
    created_at: int


@dataclass(frozen=True, slots=True)
class BaseRecord:
    """One version of a base.

    ``package`` is *the* base digest, ``custom`` its signed facts, ``publisher`` the token that sent it.
    """

    app: str
    base_id: str
    version: str
    package: Digest
    contract: Digest
    contract_json: JsonObject
    manifest: Digest
    bytes: int
    custom: JsonObject
    provenance: JsonObject | None
    checked: str
    state: str
    created_at: int
    publisher: str | None = None


@dataclass(frozen=True, slots=True)
class HeadRecord:
    """One release of a head.

    ``custom`` are its signed facts, ``checked`` how its bytes were examined here, ``publisher`` the token that sent it.
    """

    app: str
    base_id: str
    name: str
    release: int
    head: Digest
    parent: Digest | None
    contract: Digest
    labels: Digest
    label_names: tuple[str, ...]
    manifest: Digest
    bytes: int
    custom: JsonObject
    provenance: JsonObject | None
    checked: str
    state: str
    created_at: int
    publisher: str | None = None


@dataclass(frozen=True, slots=True)
class EdgeRecord:
    """The edge from a head to a base it is proven on: the publisher's proof, and ours where we ran it again."""

    app: str
    base_id: str
    name: str
    release: int
    base: Digest
    proof_digest: Digest
    proof: JsonObject
    reproof: JsonObject | None
    verdict: str
    created_at: int


PROOF_RESULTS = ("proven", "not_proven", "broken", "not_run")
"""Good enough; run, but not good enough; the run was stopped or refused; nothing here can run it."""


@dataclass(frozen=True, slots=True)
class ProofRunRecord:
    """One edge of head and base run again: when, by whom, and what came out. Never changed, never removed."""

    id: int
    app: str
    base_id: str
    name: str
    release: int
    base: Digest
    at: int
    actor: str
    result: str
    note: str
    proof: JsonObject | None


@dataclass(frozen=True, slots=True)
class ChannelRecord:
    """The state of one channel for one base; its document is made from this, its rollouts and its recalls."""

    app: str
    channel: str
    base_id: str
    epoch: int
    poll_after_s: int
    personalise: JsonObject
    updated_at: int


@dataclass(frozen=True, slots=True)
class RecallRecord:
    """An order to leave a head."""

    app: str
    channel: str
    base_id: str
    digest: Digest
    reason: str
    created_at: int


@dataclass(frozen=True, slots=True)
class RolloutRecord:
    """One head release offered on one channel. ``stage`` indexes ``schedule``; ``held_by`` is who holds it."""

    id: str
    app: str
    channel: str
    base_id: str
    name: str
    release: int
    head: Digest
    state: str
    held_by: str | None
    salt: str
    permyriad: int
    pins: tuple[str, ...]
    excludes: tuple[str, ...]
    schedule: tuple[JsonObject, ...]
    policy: JsonObject
    stage: int
    stage_started_at: int
    created_at: int
    updated_at: int


@dataclass(frozen=True, slots=True)
class DecisionRecord:
    """One decision about a rollout with everything it was based on."""

    id: int
    app: str
    rollout: str
    at: int
    action: str
    actor: str
    reason: str
    inputs: JsonObject


@dataclass(frozen=True, slots=True)
class OutcomeRecord:
    """One event a device reported; ``rollout`` None: it belongs to no rollout (an embedded head)."""

    app: str
    event: str
    rollout: str | None
    kind: str
    channel: str
    base: Digest
    name: str
    release: int
    detail: str | None
    gain: str | None
    received_at: int


@dataclass(frozen=True, slots=True)
class AuditRecord:
    """One state change: who did what to what, when."""

    id: int
    app: str | None
    at: int
    actor: str
    action: str
    subject: str
    request: str
    data: JsonObject = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class WebhookRecord:
    """Where an app's events are sent. The secret is derived from ``secret_version``; it stands nowhere."""

    app: str
    id: str
    url: str
    events: tuple[str, ...]
    note: str
    secret_version: int
    rotated_at: int | None
    created_at: int


DELIVERY_STATES = ("pending", "delivered", "dead")


@dataclass(frozen=True, slots=True)
class DeliveryRecord:
    """One message to one webhook. ``body`` are the exact bytes signed; ``status`` and ``error`` of the last attempt."""

    seq: int
    message: str
    app: str
    webhook: str
    event: str
    body: str
    state: str
    attempts: int
    next_at: int
    created_at: int
    finished_at: int | None = None
    status: int | None = None
    error: str | None = None


@dataclass(frozen=True, slots=True)
class Backlog:
    """Webhook messages of an app that did not arrive: waiting for another attempt, given up, given up lately."""

    app: str
    pending: int
    dead: int
    dead_lately: int


@dataclass(frozen=True, slots=True)
class MarkRecord:
    """One change of an alias or a label; ``value`` None: it was removed.

    An alias (``release`` empty) is a key whose value is a release; a label is a key of one release with any value.
    ``name`` is empty for a mark on a base, whose releases are its versions.
    """

    app: str
    base_id: str
    name: str
    release: str
    key: str
    seq: int
    value: str | None
    actor: str
    note: str
    at: int


@dataclass(frozen=True, slots=True)
class FoundRecord:
    """A release that a search found: a head (``name`` set) or a base version (``name`` empty)."""

    base_id: str
    name: str
    release: str
    digest: Digest
    state: str
    publisher: str | None
    created_at: int
