"""What the use cases need from the world, as protocols. Only :mod:`headway_server.app` knows who fulfils them.

A repository belongs to one transaction and is used only inside it. Reads give None or an empty tuple for what is not
there; they never raise for it. Every query names the app: there is no query across apps but the listing of apps.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import BinaryIO, Protocol

from headway.contract.channel import ChannelDocument
from headway.contract.digests import Digest
from headway.contract.proof import Proof
from headway.trust.online import OnlineKeys
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
from headway_server.settings import Settings

EXTENSION = "headway"
"""Under which name the web application keeps its :class:`Ports`."""

Clock = Callable[[], int]
"""Whole seconds since 1970 (UTC)."""


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

    def heads(self, app: str, name: str | None = None) -> tuple[HeadRecord, ...]:
        """All head releases, or those of one name, oldest first."""

    def add_head(self, record: HeadRecord, edges: Sequence[EdgeRecord]) -> bool:
        """Add a release with its edges; False if that release was there."""

    def add_edges(self, edges: Sequence[EdgeRecord]) -> bool:
        """Add edges to a release that is there; False if one of them was there."""

    def set_head_state(self, app: str, base_id: str, name: str, release: int, state: str, custom: JsonObject) -> None:
        """Follow what signed metadata says of it."""

    def edges(self, app: str) -> tuple[EdgeRecord, ...]:
        """All edges, oldest first."""


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

    def add(self, records: Sequence[OutcomeRecord]) -> int:
        """Add those whose event id is new; how many were."""

    def counts(self, app: str, rollout: str, before: int | None = None) -> Mapping[str, int]:
        """Events per kind of one rollout, received up to ``before`` if given."""

    def totals(self, app: str) -> tuple[tuple[str, str, int, str, str, int], ...]:
        """Rows ``(channel, name, release, kind, detail or gain, count)`` of an app."""

    def by_base(self, app: str) -> Mapping[str, int]:
        """Confirmations by base digest."""


class Audit(Protocol):
    """The audit log: only ever added to."""

    def add(self, record: AuditRecord) -> None:
        """Add an event; its id is given here."""

    def all(self, app: str | None, limit: int = 200, before: int | None = None) -> tuple[AuditRecord, ...]:
        """The newest events, newest first; ``before`` is an event id to page on from."""


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
    def releases(self) -> Releases:
        """Bases, heads, edges."""

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


class Database(Protocol):
    """Where transactions come from."""

    def read(self) -> AbstractContextManager[Transaction]:
        """A read-only transaction: one consistent view."""

    def write(self, app: str | None = None) -> AbstractContextManager[Transaction]:
        """A writing transaction; with ``app``, the only one for that app at this time, on all workers and hosts.

        Commits at the end of the block; rolls back if it raises.
        """


class PublicStore(Protocol):
    """The public tree: what devices read. Paths are ``apps/<app>/…``, relative, ``/`` between parts.

    A file put under a path that carries its digest or version never changes. Nothing partial is ever visible.
    """

    def put(self, path: str, digest: Digest, size: int, chunks: Iterable[bytes]) -> bool:
        """Store a file while hashing it; False if it was there (the chunks are then not read).

        Raises:
            RefusedError: codes ``digest_mismatch``, ``size_mismatch``; nothing is kept.
            TransferError: code ``storage_failed``; the disk is full or the bucket does not answer.
        """

    def replace(self, path: str, data: bytes) -> None:
        """Write a small file, atomically in place of what was there; raises as :meth:`put`."""

    def read(self, path: str) -> bytes | None:
        """A small file's bytes."""

    def open(self, path: str) -> tuple[BinaryIO, int] | None:
        """A seekable reader and the size in bytes; the caller closes it."""

    def size(self, path: str) -> int | None:
        """Size in bytes, or None."""

    def delete(self, path: str) -> None:
        """Remove a file; nothing happens if it is not there."""

    def paths(self, prefix: str) -> tuple[str, ...]:
        """All paths below a prefix that ends in ``/``, sorted."""

    def sweep(self, older_than_s: float) -> int:
        """Remove what broken uploads left outside the tree before this time (seconds since 1970); how many."""


class OnlineSigner(Protocol):
    """The online roles of an app. It can choose among publisher-signed heads; it can not mint one.

    ``keyids`` names the key that current metadata lists for the role: while keys are replaced there are two.
    """

    def keys(self, app: str) -> OnlineKeys:
        """The newest public keys of ``channels``, ``snapshot`` and ``timestamp``, made on first use."""

    def replace_keys(self, app: str) -> OnlineKeys:
        """Make new keys; the old ones stay until metadata no longer lists them."""

    def holds(self, app: str, role: str, keyids: Sequence[str]) -> bool:
        """Whether exactly one of our keys of this role is listed, and nobody else's."""

    def channels(
        self,
        app: str,
        keyids: Sequence[str],
        current: bytes | None,
        documents: Iterable[ChannelDocument],
        now: datetime,
    ) -> bytes:
        """The next version of the role ``channels`` with these documents put in."""

    def snapshot(
        self, app: str, keyids: Sequence[str], current: bytes | None, roles: Mapping[str, bytes], now: datetime
    ) -> bytes:
        """The next snapshot of ``targets`` and every delegated role."""

    def timestamp(
        self, app: str, keyids: Sequence[str], current: bytes | None, snapshot: bytes, now: datetime
    ) -> bytes:
        """The next timestamp, pointing at ``snapshot``."""


@dataclass(frozen=True, slots=True)
class Examined:
    """What came of examining an uploaded model. ``ran`` False: nothing here can; ``note`` says why."""

    ran: bool
    note: str
    findings: tuple[str, ...] = ()
    proof: Proof | None = None


class ModelExaminer(Protocol):
    """Reads hostile model files in a separate, bounded process, where the extra ``sim`` is installed."""

    def validate(self, path: Path) -> Examined:
        """Check the rules of an updatable head or a base package."""

    def prove(self, base: Path, head: Path, golden: Path, labels: Path) -> Examined:
        """Run the golden batch through base and head."""


@dataclass(frozen=True, slots=True)
class Ports:
    """Everything a use case may reach."""

    database: Database
    store: PublicStore
    signer: OnlineSigner
    examiner: ModelExaminer
    clock: Clock
    settings: Settings

    def now(self) -> datetime:
        """The clock's time as signing wants it."""
        return datetime.fromtimestamp(self.clock(), UTC)


@dataclass(frozen=True, slots=True)
class Actor:
    """Who acts, for the audit log: a token's id or a command, and the request's id."""

    name: str
    request: str
