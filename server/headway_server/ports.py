"""What the use cases need from the world, as protocols. Only :mod:`headway_server.app` knows who fulfils them.

What they ask of the database stands in :mod:`headway_server.repositories`.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import BinaryIO, Protocol

from headway.contract.channel import ChannelDocument
from headway.contract.digests import Digest
from headway.contract.proof import Proof
from headway.trust.online import OnlineKeys
from headway_server.repositories import Database as Database
from headway_server.repositories import Transaction as Transaction
from headway_server.settings import Settings
from headway_server.upload_record import UploadRecord

EXTENSION = "headway"
"""Under which name the web application keeps its :class:`Ports`."""

Clock = Callable[[], int]
"""Whole seconds since 1970 (UTC)."""


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


class Staging(Protocol):
    """Parts of large uploads on their way, outside the public tree."""

    @property
    def min_part_bytes(self) -> int:
        """The smallest size of a part that is not the last."""

    def begin(self, upload: str) -> str:
        """Make room for a new upload of this id; what the storage itself calls it, or empty."""

    def put_part(self, upload: UploadRecord, number: int, size: int, chunks: Iterable[bytes]) -> None:
        """Keep a part of exactly ``size`` bytes, in place of an earlier one of its number.

        Raises:
            RefusedError: codes ``size_mismatch``, ``unknown_upload``; nothing of it is kept.
            TransferError: code ``storage_failed``.
        """

    def parts(self, upload: UploadRecord) -> Mapping[int, int]:
        """Sizes of the parts that are here, by number."""

    def part_url(self, upload: UploadRecord, number: int, size: int) -> str | None:
        """Where a publisher may PUT the part past the registry, for a while; None if he may not."""

    def finish(self, upload: UploadRecord, path: str) -> None:
        """Join the parts under ``path`` of the public tree; repeating it is harmless.

        Raises:
            RefusedError: codes ``digest_mismatch``, ``size_mismatch``, ``unknown_upload``; nothing is public.
            TransferError: code ``storage_failed``; try again.
        """

    def discard(self, upload: str, handle: str) -> None:
        """Remove all parts; nothing happens if there are none."""

    def strays(self, known: frozenset[str], older_than_s: float) -> tuple[tuple[str, str], ...]:
        """Id and handle of what is here, older than this time (seconds since 1970), and not among ``known`` ids."""


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
        self,
        app: str,
        keyids: Sequence[str],
        current: bytes | None,
        roles: Mapping[str, bytes],
        unchanged: Collection[str],
        now: datetime,
    ) -> bytes:
        """The next snapshot of ``targets`` and every delegated role; ``unchanged`` stay as ``current`` lists them."""

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


class ServerSecret(Protocol):
    """One random secret of this server, known to all its processes, kept with the online keys."""

    def derive(self, *purpose: str) -> bytes:
        """32 bytes that only this server can compute, different for every purpose."""


@dataclass(frozen=True, slots=True)
class Ports:
    """Everything a use case may reach."""

    database: Database
    store: PublicStore
    staging: Staging
    signer: OnlineSigner
    secret: ServerSecret
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
