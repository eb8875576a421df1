"""A registry in memory that signs for real and is a :class:`~headway.trust.ports.Fetcher`: for tests and fleets.

It serves what a real registry serves, under the same paths, and keeps every version. Keys come from a seed, so that
two runs give the same bytes. Faults are put in from outside by ``tamper``: the simulator itself never lies.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime

from headway.contract.channel import ChannelDocument
from headway.contract.digests import Digest, digest_of, hex_of
from headway.contract.errors import TransferError, UntrustedError
from headway.contract.targets import BaseTarget, HeadTarget
from headway.trust.bins import HeadRoles, arranged, placed
from headway.trust.ceremony import RootChange, add_base, next_root, next_targets, sign_root
from headway.trust.keys import Signer, SigningKey
from headway.trust.online import (
    CHANNELS,
    SNAPSHOT,
    TIMESTAMP,
    OnlineKeys,
    sign_channels,
    sign_snapshot,
    sign_timestamp,
)
from headway.trust.ports import Fetched
from headway.trust.repository import ROOT, TARGETS, Holders, TrustPlan, create_trust, sign_with_holders
from headway.trust.roles import (
    BASES,
    base_entry,
    entries,
    head_entry,
    head_targets,
    heads_role,
    sign_bases,
    sign_heads,
    surplus_heads,
)
from headway.trust.wire import add_signatures, facts

Tamper = Callable[[Fetched], Fetched]


class StaticFiles:
    """Files by URL as a fetcher: entity tags, 304 and 404 as a web server gives them.

    ``requests`` records every URL asked for; ``tamper`` changes answers by URL on their way.
    """

    def __init__(self) -> None:
        self.files: dict[str, bytes] = {}
        self.requests: list[str] = []
        self.tamper: dict[str, Tamper] = {}

    def fetch(self, url: str, *, max_bytes: int, etag: str | None = None) -> Fetched:
        """Serve ``url``.

        Raises:
            UntrustedError: code ``too_large``; the body (also a tampered one) exceeds ``max_bytes``.
            TransferError: code ``server_error``; a tampered 5xx.
        """
        self.requests.append(url)
        answer = self._answer(url, etag)
        if url in self.tamper:
            answer = self.tamper[url](answer)
        if answer.status >= 500:
            raise TransferError("server_error", f"The registry answered {answer.status}.", hint="Try again later.")
        if len(answer.body) > max_bytes:
            raise UntrustedError(
                "too_large", f"{url} is longer than {max_bytes} bytes.", hint="Do not retry; tell the operator."
            )
        return answer

    def _answer(self, url: str, etag: str | None) -> Fetched:
        body = self.files.get(url)
        if body is None:
            return Fetched(404, b"not found")
        tag = f'"{hex_of(digest_of(body))}"'
        if tag == etag:
            return Fetched(304, b"", {"etag": tag})
        return Fetched(200, body, {"etag": tag})


@dataclass(frozen=True, slots=True)
class SimulatedKeys:
    """All keys of one simulated app."""

    root: tuple[SigningKey, ...]
    targets: tuple[SigningKey, ...]
    publisher: SigningKey
    channels: SigningKey
    snapshot: SigningKey
    timestamp: SigningKey

    @classmethod
    def of_seed(cls, seed: str) -> SimulatedKeys:
        """The keys of a seed."""
        return cls(
            tuple(seeded_key(f"{seed}/root/{n}") for n in range(3)),
            tuple(seeded_key(f"{seed}/targets/{n}") for n in range(3)),
            *(seeded_key(f"{seed}/{role}") for role in ("publisher", CHANNELS, SNAPSHOT, TIMESTAMP)),
        )

    def online(self) -> OnlineKeys:
        """The public halves of the online keys."""
        return OnlineKeys(self.channels.public, self.snapshot.public, self.timestamp.public)

    def offline(self) -> tuple[Signer, ...]:
        """Everything that a server never holds."""
        return (*self.root, *self.targets, self.publisher)


def seeded_key(seed: str) -> SigningKey:
    """A key that is the same in every run."""
    return SigningKey.from_seed(hashlib.sha256(seed.encode()).digest())


class RepositorySimulator(StaticFiles):
    """One app's repository. Changes are visible to clients after :meth:`publish`."""

    def __init__(
        self,
        app: str = "reader",
        base_ids: Iterable[str] = ("kd",),
        *,
        now: Callable[[], datetime] = lambda: datetime(2026, 1, 1, tzinfo=UTC),
        seed: str = "simulator",
        url: str = "https://registry.invalid/apps",
    ) -> None:
        super().__init__()
        self.app = app
        self.now = now
        self.keys = SimulatedKeys.of_seed(seed)
        self.metadata_url = f"{url}/{app}/metadata"
        self.targets_url = f"{url}/{app}/targets"
        self.artifacts_url = f"{url}/{app}/artifacts"
        files = create_trust(_plan(app, base_ids, self.keys), self.keys.offline(), now=now())
        self.roles: dict[str, bytes] = {TARGETS: files.targets, **files.delegated}
        self.roles[CHANNELS] = sign_channels(None, (), self.keys.channels, now=now())
        self.root_bytes = files.root
        self.root = files.root
        self.snapshot: bytes | None = None
        self.timestamp: bytes | None = None
        self._serve_root()
        self.publish()

    def publish(self) -> None:
        """Sign snapshot and timestamp over the roles as they are now, and serve everything."""
        now = self.now()
        self.snapshot = sign_snapshot(self.snapshot, self.roles, self.keys.snapshot, now=now)
        for role, data in {**self.roles, SNAPSHOT: self.snapshot}.items():
            self.files[f"{self.metadata_url}/{facts(data, role).version}.{role}.json"] = data
        self.resign()

    def resign(self) -> None:
        """Sign a fresh timestamp over the same snapshot: the daily job of a registry."""
        assert self.snapshot is not None
        self.timestamp = sign_timestamp(self.timestamp, self.snapshot, self.keys.timestamp, now=self.now())
        self.files[f"{self.metadata_url}/timestamp.json"] = self.timestamp

    def put_base(self, target: BaseTarget, manifest: bytes) -> None:
        """Sign a base version into ``bases``."""
        entry = base_entry(target, manifest)
        self.roles[BASES] = sign_bases(self.roles[BASES], [entry], [self.keys.publisher], now=self.now())
        self._serve_target(entry.path, manifest)

    def put_head(self, target: HeadTarget, manifest: bytes) -> None:
        """Sign a head release into its base's role, or into its bin; older releases that it pushes out leave."""
        roles, entry = self.head_roles(target.base_id), head_entry(target, manifest)
        there = [head for role in roles.listing for head in head_targets(self.roles[role], role)]
        drop = surplus_heads([target, *(h for h in there if (h.name, h.release) != (target.name, target.release))])
        drafts = placed(roles, self.roles, [entry], drop=drop, now=self.now())
        self.roles |= self._signed_heads(drafts)
        self._serve_target(entry.path, manifest)

    def head_roles(self, base_id: str) -> HeadRoles:
        """Which roles hold the heads of a base now."""
        return HeadRoles.of(base_id, self.roles[heads_role(base_id)])

    def split(self, base_id: str, bits: int) -> None:
        """Put the heads of a base into ``2 ** bits`` bins, or with 0 into one role."""
        heads = [entry for role in self.head_roles(base_id).listing for entry in entries(self.roles[role], role)]
        held = Holders((self.keys.publisher.public,))
        versions = {role: facts(data, role).version for role, data in self.roles.items()}
        self.roles |= self._signed_heads(arranged(HeadRoles(base_id, bits), heads, held, versions, now=self.now()))

    def put_channel(self, document: ChannelDocument) -> None:
        """Sign a channel document."""
        self.roles[CHANNELS] = sign_channels(self.roles[CHANNELS], [document], self.keys.channels, now=self.now())
        self._serve_target(f"channels/{document.channel}/{document.base_id}.json", document.to_bytes())

    def put_artifact(self, data: bytes) -> Digest:
        """Serve an artifact by its digest."""
        digest = digest_of(data)
        self.files[f"{self.artifacts_url}/{hex_of(digest)}"] = data
        return digest

    def add_base_role(self, base_id: str) -> None:
        """Delegate the heads of another base."""
        draft = add_base(self.roles[TARGETS], base_id, Holders((self.keys.publisher.public,)), now=self.now())
        self.roles[TARGETS] = self._signed_targets(draft)
        role = heads_role(base_id)
        self.roles[role] = sign_heads(None, base_id, (), [self.keys.publisher], now=self.now())

    def rotate_root(self, change: RootChange, signers: Iterable[Signer] = ()) -> None:
        """Serve the next root, signed by all root keys there are and ``signers``."""
        draft = next_root(self.root, change, now=self.now())
        self.root = sign_root(draft, self.root, (*self.keys.root, *signers))
        self._serve_root()

    def rotate_online_keys(self, seed: str) -> None:
        """Replace the three online keys, as after a theft. Versions go on; :meth:`publish` signs with the new keys."""
        fresh = SimulatedKeys.of_seed(seed)
        self.keys = replace(self.keys, channels=fresh.channels, snapshot=fresh.snapshot, timestamp=fresh.timestamp)
        self.rotate_root(RootChange(snapshot=fresh.snapshot.public, timestamp=fresh.timestamp.public))
        held = {CHANNELS: Holders((fresh.channels.public,))}
        self.roles[TARGETS] = self._signed_targets(next_targets(self.roles[TARGETS], held, now=self.now()))
        self.roles[CHANNELS] = sign_channels(self.roles[CHANNELS], (), fresh.channels, now=self.now())

    def _signed_heads(self, drafts: Mapping[str, bytes]) -> dict[str, bytes]:
        return {role: add_signatures(draft, role, [self.keys.publisher]) for role, draft in drafts.items()}

    def _signed_targets(self, draft: bytes) -> bytes:
        return sign_with_holders(draft, TARGETS, self.keys.targets, root=self.root, targets=self.roles[TARGETS])

    def _serve_root(self) -> None:
        self.files[f"{self.metadata_url}/{facts(self.root, ROOT).version}.root.json"] = self.root

    def _serve_target(self, path: str, data: bytes) -> None:
        folder, _, name = path.rpartition("/")
        self.files[f"{self.targets_url}/{folder}/{hex_of(digest_of(data))}.{name}"] = data


def _plan(app: str, base_ids: Iterable[str], keys: SimulatedKeys) -> TrustPlan:
    publisher = Holders((keys.publisher.public,))
    return TrustPlan(
        app=app,
        root=Holders(tuple(key.public for key in keys.root), 2),
        targets=Holders(tuple(key.public for key in keys.targets), 2),
        bases=publisher,
        heads=dict.fromkeys(base_ids, publisher),
        online=keys.online(),
    )
