"""The roles that the server signs online: channels, snapshot, timestamp.

These keys can only choose among what the publisher signed, or withhold it. Each function is pure: current bytes and a
change in, new signed bytes out.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime

from tuf.api.metadata import MetaFile, Snapshot, Timestamp

from headway.contract.channel import ChannelDocument
from headway.contract.digests import digest_of, hex_of
from headway.contract.errors import RefusedError, malformed
from headway.contract.manifest import channel_path
from headway.trust.keys import PublicKey, Signer
from headway.trust.lifetimes import LIFETIMES, Lifetimes
from headway.trust.roles import TargetEntry, edit
from headway.trust.wire import add_signatures, facts, parse, unsigned

CHANNELS, SNAPSHOT, TIMESTAMP = "channels", "snapshot", "timestamp"


@dataclass(frozen=True, slots=True)
class OnlineKeys:
    """The public halves of the three online keys. Snapshot and timestamp must differ."""

    channels: PublicKey
    snapshot: PublicKey
    timestamp: PublicKey

    def to_json(self) -> dict[str, object]:
        """``{"channels": {"keyid", "key"}, …}``; inverse of :meth:`from_json`."""
        return {
            CHANNELS: self.channels.to_json(),
            SNAPSHOT: self.snapshot.to_json(),
            TIMESTAMP: self.timestamp.to_json(),
        }

    @classmethod
    def from_json(cls, value: object) -> OnlineKeys:
        """Read the answer of the registry.

        Raises:
            RefusedError: code ``malformed``.
        """
        if not isinstance(value, Mapping):
            raise malformed("online keys", "$", "an object")
        return cls(*(PublicKey.from_json(value.get(role)) for role in (CHANNELS, SNAPSHOT, TIMESTAMP)))


def channel_entry(document: ChannelDocument) -> TargetEntry:
    """The entry of a channel document in the role ``channels``."""
    return TargetEntry.of(channel_path(document.channel, document.base_id), document.to_bytes())


def sign_channels(
    current: bytes | None, documents: Iterable[ChannelDocument], signer: Signer, *, now: datetime
) -> bytes:
    """The role ``channels`` with the given documents put in, signed by the online key."""
    put = [channel_entry(document) for document in documents]
    return add_signatures(edit(current, CHANNELS, put=put, now=now), CHANNELS, [signer])


def sign_snapshot(
    current: bytes | None,
    roles: Mapping[str, bytes],
    signer: Signer,
    *,
    unchanged: Collection[str] = (),
    now: datetime,
    lifetimes: Lifetimes = LIFETIMES,
) -> bytes:
    """A snapshot of ``roles`` (``targets`` and every delegated role, by name), signed.

    Roles named in ``unchanged`` stay as ``current`` lists them: their bytes need not be at hand.

    Raises:
        RefusedError: code ``snapshot_rollback``; a role would go back or vanish, which every client refuses for good.
    """
    meta = {f"{role}.json": _meta_file(data, role) for role, data in roles.items()}
    version = 1
    if current is not None:
        before = parse(Snapshot, current, SNAPSHOT).signed
        version = before.version + 1
        meta |= {name: before.meta[name] for name in (f"{role}.json" for role in unchanged)}
        for name, old in before.meta.items():
            if name not in meta or meta[name].version < old.version:
                raise RefusedError(
                    "snapshot_rollback",
                    f"The new snapshot would take {name} back from version {old.version}.",
                    hint="Sign that role again with a version above the one in the current snapshot.",
                    kind="conflict",
                    role=name,
                )
    signed = Snapshot(version=version, expires=lifetimes.expiry(SNAPSHOT, now), meta=meta)
    return add_signatures(unsigned(signed), SNAPSHOT, [signer])


def sign_timestamp(
    current: bytes | None, snapshot: bytes, signer: Signer, *, now: datetime, lifetimes: Lifetimes = LIFETIMES
) -> bytes:
    """A timestamp that points at ``snapshot``, signed. Signing it again every day is what proves freshness."""
    version = 1 if current is None else facts(current, TIMESTAMP).version + 1
    signed = Timestamp(
        version=version, expires=lifetimes.expiry(TIMESTAMP, now), snapshot_meta=_meta_file(snapshot, SNAPSHOT)
    )
    return add_signatures(unsigned(signed), TIMESTAMP, [signer])


def _meta_file(data: bytes, role: str) -> MetaFile:
    return MetaFile(facts(data, role).version, len(data), {"sha256": hex_of(digest_of(data))})
