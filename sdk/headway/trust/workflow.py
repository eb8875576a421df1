"""The TUF client workflow: root, timestamp, snapshot, targets, then delegated roles as they are asked for.

python-tuf's trusted set decides what may be trusted; this module fetches, in the order of the specification (5.3 to
5.6), and stores exactly the bytes that were accepted, each as soon as it was. Nothing here knows what the targets
mean. One :class:`Session` serves one refresh and the look-ups after it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from urllib.parse import quote

from tuf.api.exceptions import EqualVersionNumberError, RepositoryError
from tuf.api.metadata import DelegatedRole, SuccinctRoles, TargetFile, Targets
from tuf.ngclient._internal.trusted_metadata_set import TrustedMetadataSet
from tuf.ngclient.config import EnvelopeType

from headway.contract.errors import TransferError
from headway.trust.ports import Fetched, Fetcher, MetadataStorage
from headway.trust.wire import judged, untrusted

ROOT, TIMESTAMP, SNAPSHOT, TARGETS = "root", "timestamp", "snapshot", "targets"


@dataclass(frozen=True, slots=True)
class ClientLimits:
    """What the client reads at most. Sizes are bytes; a length in signed metadata can only lower them."""

    root_bytes: int = 512 * 1024
    timestamp_bytes: int = 16 * 1024
    snapshot_bytes: int = 2_000_000
    targets_bytes: int = 5_000_000
    root_rotations: int = 256
    delegations: int = 32
    bins: int = 1024


LIMITS = ClientLimits()


def file_name(role: str) -> str:
    """Where a role's bytes are stored. Role names are quoted: they come from outside."""
    return quote(role, safe="") + ".json"


class Remote:
    """The registry's metadata, fetched within the limits. Counts what it cost."""

    def __init__(self, url: str, fetcher: Fetcher) -> None:
        self._url = url.rstrip("/") + "/"
        self._fetcher = fetcher
        self.requests = 0
        self.received_bytes = 0

    def get(self, role: str, max_bytes: int, *, version: int | None = None, etag: str | None = None) -> Fetched:
        """Fetch a role, versioned or not, conditionally or not. Statuses as the fetcher gives them.

        Raises:
            TransferError: from the fetcher.
            UntrustedError: code ``too_large``.
        """
        prefix = "" if version is None else f"{version}."
        self.requests += 1
        answer = self._fetcher.fetch(f"{self._url}{prefix}{file_name(role)}", max_bytes=max_bytes, etag=etag)
        self.received_bytes += len(answer.body)
        if len(answer.body) > max_bytes:
            raise untrusted("too_large", f"{role} is longer than the {max_bytes} bytes it may have.", role)
        return answer

    def body(self, role: str, max_bytes: int, version: int | None) -> bytes:
        """The bytes of a role that must exist; raises as :meth:`get`, and TransferError if it does not."""
        return accepted(self.get(role, max_bytes, version=version), role)


def accepted(answer: Fetched, what: str) -> bytes:
    """The body of a 200.

    Raises:
        TransferError: code ``not_served``; any other status.
    """
    if answer.status != 200:
        raise TransferError(
            "not_served",
            f"The registry answered {answer.status} for {what}.",
            hint="Try again later; if it stays, check the URL, or tell the operator of the registry.",
            status=answer.status,
        )
    return answer.body


class Session:
    """One trusted set and how it got there."""

    def __init__(
        self, bootstrap: bytes, remote: Remote, storage: MetadataStorage, limits: ClientLimits, reference: datetime
    ) -> None:
        """Start from ``bootstrap``, the root bytes that the app was built with.

        Raises:
            UntrustedError: the embedded root itself is broken.
        """
        self._remote = remote
        self._storage = storage
        self._limits = limits
        with judged(ROOT):
            self._trusted = TrustedMetadataSet(bootstrap, EnvelopeType.METADATA)
        self._trusted.reference_time = reference
        self._root_bytes = bootstrap

    def load_stored_roots(self) -> None:
        """Walk the stored chain of roots, from the embedded one as far as it holds."""
        for version in self._next_roots():
            data = self._storage.read(_root_name(version))
            if data is None or not self._take_root(data):
                return

    def load_remote_roots(self) -> None:
        """Fetch newer roots one by one until there is none, storing each that is accepted; keep the last as root.json.

        ``root.json`` is written only here: whoever lost the history must not put an older root back in its place.
        """
        for version in self._next_roots():
            answer = self._remote.get(ROOT, self._limits.root_bytes, version=version)
            if answer.status in (403, 404):
                break
            data = accepted(answer, ROOT)
            with judged(ROOT):
                self._trusted.update_root(data)
            self._root_bytes = data
            self._storage.write_atomic(_root_name(version), data)
            self._storage.write_atomic(file_name(ROOT), data)
        if not self.root_is_stored():
            self._storage.write_atomic(file_name(ROOT), self._root_bytes)

    def root_is_stored(self) -> bool:
        """Whether ``root.json`` is the newest root that the embedded one and the stored history lead to."""
        return self._storage.read(file_name(ROOT)) == self._root_bytes

    def load_stored_timestamp(self) -> bool:
        """Take the stored timestamp as a floor; whether it is also good as the final one."""
        return self._take_stored(TIMESTAMP, lambda data: self._trusted.update_timestamp(data))

    def load_timestamp(self, fetched: bytes | None = None) -> bool:
        """Take the registry's timestamp (``fetched``, or fetch it); whether it is new.

        Raises:
            UntrustedError: codes ``rollback``, ``expired_metadata``, ``bad_signature``, ….
        """
        if fetched is None:
            fetched = self._remote.body(TIMESTAMP, self._limits.timestamp_bytes, None)
        with judged(TIMESTAMP):
            try:
                self._trusted.update_timestamp(fetched)
            except EqualVersionNumberError:
                return False
        self._storage.write_atomic(file_name(TIMESTAMP), fetched)
        return True

    def load_snapshot(self) -> None:
        """Take the stored snapshot if it is the one the timestamp names, else the registry's."""
        if self._take_stored(SNAPSHOT, lambda data: self._trusted.update_snapshot(data, trusted=True)):
            return
        meta = self._trusted.timestamp.snapshot_meta
        cap = min(meta.length or self._limits.snapshot_bytes, self._limits.snapshot_bytes)
        data = self._remote.body(SNAPSHOT, cap, self._version(meta.version))
        with judged(SNAPSHOT):
            self._trusted.update_snapshot(data)
        self._storage.write_atomic(file_name(SNAPSHOT), data)

    def load_targets(self, role: str = TARGETS, delegator: str = ROOT) -> Targets:
        """A targets role, stored or fetched, verified under ``delegator``.

        Raises:
            UntrustedError: among others ``expired_metadata``, ``mix_and_match``, ``bad_metadata`` (not in snapshot).
        """
        if self._trusted.contains(role, delegator):
            loaded = self._trusted[role]
            assert isinstance(loaded, Targets)
            return loaded
        taken: list[Targets] = []
        if self._take_stored(
            role, lambda data: taken.append(self._trusted.update_delegated_targets(data, role, delegator))
        ):
            return taken[0]
        meta = self._trusted.snapshot.meta.get(f"{role}.json")
        if meta is None:
            raise untrusted("bad_metadata", f"{role} is delegated but the snapshot does not list it.", role)
        cap = min(meta.length or self._limits.targets_bytes, self._limits.targets_bytes)
        data = self._remote.body(role, cap, self._version(meta.version))
        with judged(role):
            targets = self._trusted.update_delegated_targets(data, role, delegator)
        self._storage.write_atomic(file_name(role), data)
        return targets

    def find(self, path: str) -> tuple[TargetFile, str] | None:
        """The most trusted entry for ``path`` and the role that signed it: preorder, depth first, terminating."""
        pending, visited = [(TARGETS, ROOT)], set[str]()
        while pending and len(visited) <= self._limits.delegations:
            role, delegator = pending.pop()
            if role in visited:
                continue
            targets = self.load_targets(role, delegator)
            if path in targets.targets:
                return targets.targets[path], role
            visited.add(role)
            children = []
            for child, terminating in targets.delegations.get_roles_for_target(path) if targets.delegations else ():
                children.append((child, role))
                if terminating:
                    pending = []
                    break
            pending.extend(reversed(children))
        return None

    def delegated(self, role: str) -> Targets | None:
        """A role that top-level targets delegates, or None where it does not or has not been published yet."""
        delegations = self.load_targets().delegations
        if delegations is None or role not in (delegations.roles or {}):
            return None
        if f"{role}.json" not in self._trusted.snapshot.meta:
            return None
        return self.load_targets(role, TARGETS)

    def listing(self, role: str) -> Iterator[tuple[str, Targets, Callable[[str], bool]]]:
        """The roles that list what is delegated to ``role``: itself and, where it is split, its bins, all of them.

        With each comes what it may list. Nothing where top-level targets does not delegate, as :meth:`delegated`.

        Raises:
            UntrustedError: code ``too_large``, more bins than the limits allow; or as :meth:`load_targets`.
        """
        targets = self.delegated(role)
        if targets is None:
            return
        within = self.load_targets().get_delegated_role(role)
        assert isinstance(within, DelegatedRole)
        yield role, targets, within.is_delegated_path
        succinct = targets.delegations.succinct_roles if targets.delegations else None
        if succinct is None:
            return
        if succinct.number_of_bins > self._limits.bins:
            raise untrusted("too_large", f"{role} is split into {succinct.number_of_bins} bins.", role)
        for name in succinct.get_roles():
            part = self.load_targets(name, role)
            yield name, part, partial(_in_bin, within, succinct, name)

    @property
    def consistent_snapshot(self) -> bool:
        """Whether file names carry versions and hashes."""
        return bool(self._trusted.root.consistent_snapshot)

    def _next_roots(self) -> Iterator[int]:
        first = self._trusted.root.version + 1
        return iter(range(first, first + self._limits.root_rotations))

    def _take_root(self, data: bytes) -> bool:
        try:
            self._trusted.update_root(data)
        except RepositoryError:
            return False  # a damaged store: the registry is asked instead
        self._root_bytes = data
        return True

    def _take_stored(self, role: str, take: Callable[[bytes], object]) -> bool:
        data = self._storage.read(file_name(role))
        if data is None:
            return False
        try:
            take(data)
        except (RepositoryError, ValueError):
            return False  # outdated, expired or damaged: useful as a floor at most
        return True

    def _version(self, version: int) -> int | None:
        return version if self.consistent_snapshot else None


def _in_bin(within: DelegatedRole, succinct: SuccinctRoles, name: str, path: str) -> bool:
    return within.is_delegated_path(path) and succinct.get_role_for_target(path) == name


def _root_name(version: int) -> str:
    return f"root_history/{version}.root.json"
