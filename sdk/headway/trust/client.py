"""The trusted client: what the publisher signed, as verified values, and nothing else.

Rules that always hold: trust starts from the root bytes embedded in the app; metadata is judged at a time that never
runs backwards; nothing older than what was seen is accepted; every file read is bounded; what is stored are the exact
bytes received. The only errors are :class:`UntrustedError`, :class:`TransferError` and, from the storage,
:class:`DeviceStoreError`. It never decides what to install: see :mod:`headway.contract.explain`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

from tuf.api.metadata import TargetFile, Targets

from headway.contract.channel import ChannelDocument
from headway.contract.digests import digest_of, hex_of
from headway.contract.errors import RefusedError, UntrustedError
from headway.contract.manifest import Manifest, base_manifest_path, channel_path, head_manifest_path
from headway.contract.targets import BaseTarget, HeadTarget
from headway.trust.etag import TimestampTag
from headway.trust.ports import Fetched, Fetcher, MetadataStorage
from headway.trust.release import consistent_base, consistent_head
from headway.trust.roles import BASES, heads_role
from headway.trust.storage import FolderStorage
from headway.trust.verified import (
    Refreshed,
    VerifiedBase,
    VerifiedChannel,
    VerifiedHead,
    VerifiedManifest,
    VerifiedTarget,
)
from headway.trust.wire import judged, untrusted
from headway.trust.workflow import LIMITS, TIMESTAMP, ClientLimits, Remote, Session, accepted

_MAX_DOCUMENT_BYTES = 256 * 1024


def utc_now() -> datetime:
    """The system clock."""
    return datetime.now(UTC)


class TrustedClient:
    """One app's repository as a device sees it.

    ``metadata_url`` and ``targets_url`` are folders; ``root_bytes`` is the embedded root; ``clock_floor`` the latest
    ``Refreshed.clock_floor`` of an earlier run. ``storage`` replaces the folder ``metadata_dir``.
    """

    def __init__(
        self,
        metadata_dir: Path | None,
        metadata_url: str,
        targets_url: str,
        root_bytes: bytes,
        fetcher: Fetcher,
        now: Callable[[], datetime] = utc_now,
        *,
        storage: MetadataStorage | None = None,
        clock_floor: datetime | None = None,
        limits: ClientLimits = LIMITS,
    ) -> None:
        if storage is None:
            if metadata_dir is None:
                raise ValueError("give metadata_dir or storage")
            storage = FolderStorage(metadata_dir)
        self._storage = storage
        self._etag = TimestampTag(storage, metadata_url)
        self._metadata_url = metadata_url
        self._targets_url = targets_url.rstrip("/") + "/"
        self._root_bytes = root_bytes
        self._fetcher = fetcher
        self._now = now
        self._floor = clock_floor
        self._limits = limits
        self._session: Session | None = None

    def refresh(self) -> Refreshed:
        """Bring root, timestamp, snapshot and targets up to date. Delegated roles follow when they are asked for.

        With an entity tag from last time this is one conditional request, and a 304 means that nothing changed.

        Raises:
            UntrustedError: codes ``bad_signature``, ``expired_metadata``, ``rollback``, ``mix_and_match``,
                ``too_large``, ``malformed_metadata``, ``bad_metadata``.
            TransferError: the registry cannot be reached or does not serve a file.
            DeviceStoreError: accepted metadata cannot be stored.
        """
        reference = self._reference_time()
        remote = Remote(self._metadata_url, self._fetcher)
        etag = self._etag.known()
        if etag is None:
            changed = self._update(remote, reference, None)
        else:
            answer = remote.get(TIMESTAMP, self._limits.timestamp_bytes, etag=etag)
            changed = self._update_after(answer, remote, reference)
        self._floor = reference
        return Refreshed(changed, reference, remote.requests, remote.received_bytes)

    def target(self, path: str) -> VerifiedTarget | None:
        """What signed metadata says about ``path``, searching delegations by trust; None if nobody signed it."""
        found = self._current().find(path)
        return None if found is None else _verified_target(*found)

    def heads(self, base_id: str) -> tuple[VerifiedHead, ...]:
        """All signed releases of all heads on a base, revoked ones included; empty if there are none.

        It downloads all that is signed about the base: for tools. A device asks for the :meth:`releases` it needs.
        """
        role = heads_role(base_id)
        listed = [target for part in self._current().listing(role) for target in _listed(*part)]
        return tuple(_head(target, base_id) for target in sorted(listed, key=lambda target: target.path))

    def releases(self, base_id: str, wanted: Iterable[tuple[str, int]]) -> tuple[VerifiedHead, ...]:
        """Just these releases ``(name, release)`` on a base, revoked ones included; what nobody signed is left out.

        It downloads one role, or one bin for each release: see :mod:`headway.trust.bins`.
        """
        if self._current().delegated(heads_role(base_id)) is None:
            return ()
        paths = (head_manifest_path(base_id, name, release) for name, release in wanted)
        found = [self.target(path) for path in dict.fromkeys(paths)]
        return tuple(_head(target, base_id) for target in found if target is not None)

    def bases(self) -> tuple[VerifiedBase, ...]:
        """All signed base versions."""
        bases = []
        for target in (target for part in self._current().listing(BASES) for target in _listed(*part)):
            with _facts(target):
                fact = BaseTarget.from_json(target.custom)
            if base_manifest_path(fact.base_id, fact.version) != target.path:
                raise untrusted("bad_facts", f"{target.path} carries the facts of another base.", BASES)
            bases.append(VerifiedBase(fact, target.path, target.digest, target.length))
        return tuple(bases)

    def channel(self, channel: str, base_id: str) -> VerifiedChannel | None:
        """The channel's document for a base, or None if the channel says nothing about it.

        The bytes are kept, so that an unchanged document is not fetched again.

        Raises:
            UntrustedError: code ``bad_facts``; the document is about something else, or malformed.
        """
        target = self.target(channel_path(channel, base_id))
        if target is None:
            return None
        kept = f"channel_documents/{channel}.{base_id}"
        data = self._storage.read(kept)
        if data is None or digest_of(data) != target.digest:
            data = self.fetch(target)
            self._storage.write_atomic(kept, data)
        with _facts(target):
            document = ChannelDocument.from_bytes(data)
        if (document.channel, document.base_id) != (channel, base_id):
            raise untrusted("bad_facts", f"{target.path} is the document of another channel.", target.role)
        return VerifiedChannel(document, target.digest)

    def head_manifest(self, head: VerifiedHead) -> VerifiedManifest:
        """The file list of a head release, checked against its signed facts; see :func:`consistent_head`."""
        manifest = self._manifest(head.manifest_path, head)
        consistent_head(manifest.manifest, head.target)
        return manifest

    def base_manifest(self, base: VerifiedBase) -> VerifiedManifest:
        """The file list of a base version, checked against its signed facts; see :func:`consistent_base`."""
        manifest = self._manifest(base.manifest_path, base)
        consistent_base(manifest.manifest, base.target)
        return manifest

    def fetch(self, target: VerifiedTarget, *, max_bytes: int | None = None) -> bytes:
        """The bytes of a small target, whole and checked. Artifacts of releases go by digest, elsewhere.

        Raises:
            TransferError, UntrustedError: code ``too_large`` above ``max_bytes`` (default 256 KiB),
                ``mix_and_match`` if the bytes are not those that were signed.
        """
        if target.length > (_MAX_DOCUMENT_BYTES if max_bytes is None else max_bytes):
            raise untrusted("too_large", f"{target.path} is signed with {target.length} bytes.", target.role)
        url = self._targets_url + _served_path(target, self._current().consistent_snapshot)
        data = accepted(self._fetcher.fetch(url, max_bytes=target.length), target.path)
        _check(target, data)
        return data

    @staticmethod
    def matches(target: VerifiedTarget, data: bytes) -> bool:
        """Whether ``data`` is exactly the signed target."""
        try:
            _check(target, data)
        except UntrustedError:
            return False
        return True

    def _manifest(self, path: str, signed: VerifiedHead | VerifiedBase) -> VerifiedManifest:
        target = VerifiedTarget(path, signed.length, {"sha256": hex_of(signed.digest)}, None, path)
        data = self.fetch(target)
        with _facts(target):
            return VerifiedManifest(Manifest.from_bytes(data), data)

    def _current(self) -> Session:
        if self._session is None:
            self.refresh()
        assert self._session is not None
        return self._session

    def _reference_time(self) -> datetime:
        now = self._now()
        return now if self._floor is None else max(now, self._floor)

    def _update_after(self, answer: Fetched, remote: Remote, reference: datetime) -> bool:
        """Go on from the answer to a conditional request; where that leads nowhere, do the whole workflow.

        The root may have changed between or behind the two requests, so a failure here proves nothing yet.
        """
        try:
            if answer.status == 304:
                self._resume(remote, reference)
                return False
            return self._update(remote, reference, answer)
        except UntrustedError:
            self._etag.forget()
            return self._update(remote, reference, None)

    def _resume(self, remote: Remote, reference: datetime) -> None:
        session = self._start(remote, reference)
        if not (session.root_is_stored() and session.load_stored_timestamp()):
            raise untrusted("expired_metadata", "The stored root or timestamp no longer holds.", TIMESTAMP)
        self._finish(session)

    def _update(self, remote: Remote, reference: datetime, answer: Fetched | None) -> bool:
        session = self._start(remote, reference)
        session.load_remote_roots()
        session.load_stored_timestamp()
        if answer is None:
            answer = remote.get(TIMESTAMP, self._limits.timestamp_bytes)
        changed = session.load_timestamp(accepted(answer, TIMESTAMP))
        self._finish(session)
        self._etag.keep(answer)
        return changed

    def _start(self, remote: Remote, reference: datetime) -> Session:
        session = Session(self._root_bytes, remote, self._storage, self._limits, reference)
        session.load_stored_roots()
        return session

    def _finish(self, session: Session) -> None:
        session.load_snapshot()
        session.load_targets()
        self._session = session


def _verified_target(file: TargetFile, role: str) -> VerifiedTarget:
    return VerifiedTarget(file.path, file.length, dict(file.hashes), file.custom, role)


def _listed(role: str, targets: Targets, covers: Callable[[str], bool]) -> tuple[VerifiedTarget, ...]:
    """Everything that a role lists. A role that lists what is not delegated to it is not trusted at all."""
    for path in targets.targets:
        if not covers(path):
            raise untrusted("out_of_scope", f"{role} signed {path[:200]}, which is not delegated to it.", role)
    return tuple(_verified_target(targets.targets[path], role) for path in sorted(targets.targets))


def _head(target: VerifiedTarget, base_id: str) -> VerifiedHead:
    with _facts(target):
        fact = HeadTarget.from_json(target.custom)
    if head_manifest_path(fact.base_id, fact.name, fact.release) != target.path or fact.base_id != base_id:
        raise untrusted("bad_facts", f"{target.path} carries the facts of another release.", target.role)
    return VerifiedHead(fact, target.path, target.digest, target.length)


def _check(target: VerifiedTarget, data: bytes) -> None:
    with judged(target.path):
        TargetFile(target.length, dict(target.hashes), target.path).verify_length_and_hashes(data)


def _served_path(target: VerifiedTarget, consistent_snapshot: bool) -> str:
    if not consistent_snapshot:
        return target.path
    folder, slash, name = target.path.rpartition("/")
    prefix = target.hashes.get("sha256") or next(iter(target.hashes.values()))
    return f"{folder}{slash}{prefix}.{name}"


@contextmanager
def _facts(target: VerifiedTarget) -> Iterator[None]:
    """Signed facts that cannot be read are the publisher's fault, but for a device they are untrusted all the same."""
    try:
        yield
    except RefusedError as error:
        raise UntrustedError(
            "bad_facts",
            f"{target.path} is signed, but its content cannot be read: {error.message}",
            hint="Keep what runs; the publisher must sign it again with a current Headway.",
            role=target.role,
        ) from error
