"""Pure edits of role metadata: current bytes and a change in, new signed bytes out.

Every edit raises the version by one and renews the expiry. An edit that changes nothing still gives a new version;
callers that want idempotence compare :func:`entries` first. Who may sign what is checked by
:mod:`headway.trust.verify`, never assumed here.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from tuf.api.metadata import TargetFile, Targets

from headway.contract.digests import Digest, canonical_json, digest_of, hex_of
from headway.contract.errors import RefusedError
from headway.contract.manifest import base_manifest_path, head_manifest_path
from headway.contract.targets import BaseTarget, HeadTarget
from headway.trust.keys import Signer
from headway.trust.lifetimes import LIFETIMES, Lifetimes
from headway.trust.wire import add_signatures, parse, unsigned

MAX_LIVE_RELEASES = 3
BASES = "bases"


def heads_role(base_id: str) -> str:
    """The delegated role that holds the heads of one base."""
    return f"heads-{base_id}"


@dataclass(frozen=True, slots=True)
class TargetEntry:
    """One line of a targets role: a path, the bytes it stands for, and signed facts about them."""

    path: str
    length: int
    digest: Digest
    custom: Mapping[str, object] | None = None

    @classmethod
    def of(cls, path: str, data: bytes, custom: Mapping[str, object] | None = None) -> TargetEntry:
        """The entry for ``data`` at ``path``."""
        return cls(path, len(data), digest_of(data), custom)


def base_entry(target: BaseTarget, manifest: bytes) -> TargetEntry:
    """The entry of a base version in the role ``bases``."""
    return TargetEntry.of(base_manifest_path(target.base_id, target.version), manifest, target.to_json())


def head_entry(target: HeadTarget, manifest: bytes) -> TargetEntry:
    """The entry of a head release in its base's role."""
    return TargetEntry.of(head_manifest_path(target.base_id, target.name, target.release), manifest, target.to_json())


def entries(data: bytes, role: str) -> tuple[TargetEntry, ...]:
    """The entries of a targets role, by path. Unverified.

    Raises:
        UntrustedError: codes ``too_large``, ``malformed_metadata``.
    """
    signed = parse(Targets, data, role).signed
    return tuple(_entry(signed.targets[path]) for path in sorted(signed.targets))


def head_targets(data: bytes, role: str) -> tuple[HeadTarget, ...]:
    """The heads in a ``heads-…`` role, by name, newest release first; raises as :func:`entries` and on a bad custom."""
    heads = [HeadTarget.from_json(entry.custom) for entry in entries(data, role)]
    return tuple(sorted(heads, key=lambda head: (head.name, -head.release)))


def edit(
    current: bytes | None,
    role: str,
    *,
    put: Iterable[TargetEntry] = (),
    drop: Iterable[str] = (),
    now: datetime,
    lifetimes: Lifetimes = LIFETIMES,
    version: int = 1,
) -> bytes:
    """Unsigned next version of a targets role, with entries put in or replaced, paths dropped.

    Where ``current`` is None it begins empty, with ``version``.

    Raises:
        RefusedError: code ``malformed``; a custom object that canonical JSON does not allow.
        UntrustedError: ``current`` cannot be read.
    """
    expires = lifetimes.expiry(role, now)
    if current is None:
        signed = Targets(version=version, expires=expires)
    else:
        signed = parse(Targets, current, role).signed
        signed.version += 1
        signed.expires = expires
    for path in drop:
        signed.targets.pop(path, None)
    for entry in put:
        signed.targets[entry.path] = _target_file(entry)
    return unsigned(signed)


def sign_bases(
    current: bytes | None,
    put: Iterable[TargetEntry],
    signers: Sequence[Signer],
    *,
    now: datetime,
    drop: Iterable[str] = (),
) -> bytes:
    """The role ``bases`` with entries put in, signed; raises as :func:`edit`."""
    return add_signatures(edit(current, BASES, put=put, drop=drop, now=now), BASES, signers)


def sign_heads(
    current: bytes | None,
    base_id: str,
    put: Iterable[TargetEntry],
    signers: Sequence[Signer],
    *,
    now: datetime,
    drop: Iterable[str] = (),
) -> bytes:
    """The role ``heads-<base_id>`` with entries put in, signed.

    Releases beyond the newest :data:`MAX_LIVE_RELEASES` live ones of a name leave the metadata: their history is in
    the registry's database. Revoked ones stay, so that devices learn of it.

    Raises:
        RefusedError: code ``malformed``.
    """
    role = heads_role(base_id)
    draft = edit(current, role, put=put, drop=drop, now=now)
    surplus = frozenset(surplus_heads(head_targets(draft, role)))
    if surplus:
        signed = parse(Targets, draft, role).signed
        for path in surplus:
            signed.targets.pop(path)
        draft = unsigned(signed)
    return add_signatures(draft, role, signers)


def surplus_heads(heads: Iterable[HeadTarget]) -> tuple[str, ...]:
    """Paths of live releases that are older than the newest three of their name."""
    live: dict[str, list[HeadTarget]] = {}
    for head in heads:
        if head.status == "live":
            live.setdefault(head.name, []).append(head)
    return tuple(
        head_manifest_path(head.base_id, head.name, head.release)
        for releases in live.values()
        for head in sorted(releases, key=lambda h: -h.release)[MAX_LIVE_RELEASES:]
    )


def revoked(current: bytes, base_id: str, name: str, release: int) -> TargetEntry:
    """The entry of a head release with its status turned to ``revoked``: pass it to :func:`sign_heads`.

    Raises:
        RefusedError: code ``no_such_release``; signed metadata does not list it.
    """
    path = head_manifest_path(base_id, name, release)
    for entry in entries(current, heads_role(base_id)):
        if entry.path == path:
            target = replace(HeadTarget.from_json(entry.custom), status="revoked")
            return replace(entry, custom=target.to_json())
    raise RefusedError(
        "no_such_release",
        f"{name}@{release} is not in the signed metadata.",
        hint="List the releases with `headway heads list`; one that left the metadata can only be recalled.",
        kind="not_found",
        name=name,
        release=release,
    )


def renew(current: bytes | None, role: str, signers: Sequence[Signer], *, now: datetime) -> bytes:
    """A targets role signed anew without a change of content: before it expires, or with a new key."""
    return add_signatures(edit(current, role, now=now), role, signers)


def _entry(target: TargetFile) -> TargetEntry:
    digest = Digest("sha256:" + target.hashes.get("sha256", ""))
    custom = target.custom
    return TargetEntry(target.path, target.length, digest, custom if isinstance(custom, dict) else None)


def _target_file(entry: TargetEntry) -> TargetFile:
    extra = {}
    if entry.custom is not None:
        custom = dict(entry.custom)
        canonical_json(custom, document="signed facts")
        extra = {"custom": custom}
    return TargetFile(entry.length, {"sha256": hex_of(entry.digest)}, entry.path, extra)
