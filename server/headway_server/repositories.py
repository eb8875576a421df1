"""What the use cases ask of the registry's memory: one protocol per subject, all inside one transaction.

A repository belongs to one transaction and is used only inside it. Reads give None or an empty tuple for what is not
there; they never raise for it. Every query names the app: there is no query across apps but the listing of apps.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from typing import Protocol

from headway.contract.digests import Digest
from headway_server.records import (
    AppRecord,
    ArtifactRecord,
    AuditRecord,
    BaseRecord,
    ChannelRecord,
    DecisionRecord,
    EdgeRecord,
    HeadRecord,
    JsonObject,
    OutcomeRecord,
    RecallRecord,
    RoleVersion,
    RolloutRecord,
    TargetFile,
    TokenRecord,
)
from headway_server.repositories_marks import Marks, Search
from headway_server.repositories_proofs import ProofRuns
from headway_server.repositories_uploads import Uploads
from headway_server.repositories_webhooks import Limits, Webhooks


class Apps(Protocol):
    """Apps."""

    def get(self, app: str) -> AppRecord | None:
        """The app, or None."""

    def all(self) -> tuple[AppRecord, ...]:
        """All apps by name."""

    def add(self, record: AppRecord) -> bool:
        """Add it; False if it was there."""

    def set_published(self, app: str, version: int) -> None:
        """Remember which timestamp version the public tree holds."""


class Tokens(Protocol):
    """Access tokens."""

    def get(self, token_id: str) -> TokenRecord | None:
        """The token, or None."""

    def all(self, app: str | None) -> tuple[TokenRecord, ...]:
        """Tokens of one app, or all."""

    def add(self, record: TokenRecord) -> None:
        """Add it."""

    def revoke(self, token_id: str, at: int) -> None:
        """Mark it revoked."""

    def used(self, token_id: str, at: int) -> None:
        """Remember its last use."""


class Roles(Protocol):
    """Signed role metadata, every version kept."""

    def current(self, app: str, role: str) -> RoleVersion | None:
        """The newest version."""

    def get(self, app: str, role: str, version: int) -> RoleVersion | None:
        """One version."""

    def currents(self, app: str) -> tuple[RoleVersion, ...]:
        """The newest version of every role."""

    def versions(self, app: str) -> dict[str, int]:
        """The number of the newest version of every role."""

    def history(self, app: str, role: str) -> tuple[RoleVersion, ...]:
        """All versions of one role, oldest first."""

    def add(self, record: RoleVersion) -> bool:
        """Add it; False if that version was there (somebody else was faster)."""

    def add_target(self, record: TargetFile) -> None:
        """Keep a file that metadata names; nothing happens if it is there."""

    def target(self, app: str, path: str, digest: Digest) -> TargetFile | None:
        """One file that metadata names."""

    def targets(self, app: str, path: str) -> tuple[TargetFile, ...]:
        """All contents ever kept under one path."""


class Artifacts(Protocol):
    """Which uploaded files an app owns."""

    def get(self, app: str, digest: Digest) -> ArtifactRecord | None:
        """The artifact, or None."""

    def all(self, app: str) -> tuple[ArtifactRecord, ...]:
        """All artifacts of an app."""

    def add(self, record: ArtifactRecord) -> None:
        """Add it; nothing happens if it is there."""

    def remove(self, app: str, digest: Digest) -> None:
        """Forget it."""


class Releases(Protocol):
    """Bases, heads and the edges between them."""

    def base(self, app: str, base_id: str, version: str) -> BaseRecord | None:
        """One base version."""

    def base_by_digest(self, app: str, package: Digest) -> BaseRecord | None:
        """The base whose package has this digest."""

    def bases(self, app: str) -> tuple[BaseRecord, ...]:
        """All bases, oldest first."""

    def add_base(self, record: BaseRecord) -> bool:
        """Add it; False if that version was there."""

    def set_base_state(self, app: str, base_id: str, version: str, state: str, custom: JsonObject) -> None:
        """Follow what signed metadata says of it."""

    def head(self, app: str, base_id: str, name: str, release: int) -> HeadRecord | None:
        """One head release."""

    def head_by_digest(self, app: str, digest: Digest) -> HeadRecord | None:
        """The newest release with these head bytes."""

    def heads(self, app: str, name: str | None = None, base_id: str | None = None) -> tuple[HeadRecord, ...]:
        """All head releases, or those of one name, or of one base id, oldest first."""

    def add_head(self, record: HeadRecord, edges: Sequence[EdgeRecord]) -> bool:
        """Add a release with its edges; False if that release was there."""

    def add_edges(self, edges: Sequence[EdgeRecord]) -> bool:
        """Add edges to a release that is there; False if one of them was there."""

    def set_head_state(self, app: str, base_id: str, name: str, release: int, state: str, custom: JsonObject) -> None:
        """Follow what signed metadata says of it."""

    def listed_heads(self, app: str, base_id: str) -> int:
        """How many heads of a base signed metadata lists, live and revoked."""

    def edges(self, app: str, name: str | None = None, base_id: str | None = None) -> tuple[EdgeRecord, ...]:
        """All edges, or those of the heads of one name, or of one base id, oldest first."""


class Channels(Protocol):
    """Channels and recalls."""

    def get(self, app: str, channel: str, base_id: str) -> ChannelRecord | None:
        """One channel."""

    def all(self, app: str) -> tuple[ChannelRecord, ...]:
        """All channels of an app."""

    def put(self, record: ChannelRecord) -> None:
        """Add or replace it."""

    def recalls(self, app: str, channel: str, base_id: str) -> tuple[RecallRecord, ...]:
        """Recalls, oldest first."""

    def all_recalls(self, app: str) -> tuple[RecallRecord, ...]:
        """Recalls on every channel of an app, by channel."""

    def add_recall(self, record: RecallRecord) -> bool:
        """Add it; False if the digest was recalled there."""


class Rollouts(Protocol):
    """Rollouts and decisions."""

    def get(self, app: str, rollout: str) -> RolloutRecord | None:
        """One rollout."""

    def find(self, app: str, channel: str, base_id: str, name: str, release: int) -> RolloutRecord | None:
        """The newest rollout of a release on a channel."""

    def all(self, app: str, channel: str | None = None, base_id: str | None = None) -> tuple[RolloutRecord, ...]:
        """Rollouts, oldest first."""

    def put(self, record: RolloutRecord) -> None:
        """Add or replace it."""

    def log(self, record: DecisionRecord) -> None:
        """Add a decision; its id is given here."""

    def decisions(self, app: str, rollout: str, limit: int = 1000) -> tuple[DecisionRecord, ...]:
        """The newest ``limit`` decisions, oldest first."""


class Outcomes(Protocol):
    """What devices reported."""

    def add(self, app: str, records: Sequence[OutcomeRecord]) -> tuple[str, ...]:
        """Add those whose event id is new, and count them; the ids that were new."""

    def counts(self, app: str, rollout: str, before: int | None = None) -> Mapping[str, int]:
        """Events per kind of one rollout, received up to ``before`` if given."""

    def totals(self, app: str) -> tuple[tuple[str, str, int, str, str, int], ...]:
        """Rows ``(channel, name, release, kind, detail or gain, count)`` of an app."""

    def by_base(self, app: str) -> Mapping[str, int]:
        """Confirmations by base digest."""

    def older_than(self, app: str, before: int) -> int:
        """How many events received before this time are kept one by one."""

    def prune(self, app: str, before: int, most: int) -> int:
        """Forget up to ``most`` single events received before this time; how many went. The counters stay."""

    def fold(self, app: str, before: int) -> None:
        """Put the counters of all hours that ended by this time under one."""


class Audit(Protocol):
    """The audit log: only ever added to."""

    def add(self, record: AuditRecord) -> None:
        """Add an event; its id is given here."""

    def all(self, app: str | None, limit: int = 200, before: int | None = None) -> tuple[AuditRecord, ...]:
        """The newest events, newest first; ``before`` is an event id to page on from."""

    def has(self, app: str, action: str, subject: str) -> bool:
        """Whether such an event was written down."""


class Transaction(Protocol):
    """All repositories inside one transaction."""

    @property
    def apps(self) -> Apps:
        """Apps."""

    @property
    def tokens(self) -> Tokens:
        """Access tokens."""

    @property
    def roles(self) -> Roles:
        """Signed metadata."""

    @property
    def artifacts(self) -> Artifacts:
        """Uploaded files."""

    @property
    def uploads(self) -> Uploads:
        """Large uploads under way."""

    @property
    def releases(self) -> Releases:
        """Bases, heads, edges."""

    @property
    def proof_runs(self) -> ProofRuns:
        """Proofs run again."""

    @property
    def channels(self) -> Channels:
        """Channels, recalls."""

    @property
    def rollouts(self) -> Rollouts:
        """Rollouts, decisions."""

    @property
    def outcomes(self) -> Outcomes:
        """Device reports."""

    @property
    def audit(self) -> Audit:
        """The audit log."""

    @property
    def marks(self) -> Marks:
        """Aliases and labels."""

    @property
    def search(self) -> Search:
        """Finding releases."""

    @property
    def webhooks(self) -> Webhooks:
        """Webhooks and their outbox."""

    @property
    def limits(self) -> Limits:
        """Shared rate limits."""


class Database(Protocol):
    """Where transactions come from."""

    def read(self) -> AbstractContextManager[Transaction]:
        """A read-only transaction: one consistent view."""

    def write(self, app: str | None = None) -> AbstractContextManager[Transaction]:
        """A writing transaction; with ``app``, the only one for that app at this time, on all workers and hosts.

        Commits at the end of the block; rolls back if it raises.
        """
