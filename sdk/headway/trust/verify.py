"""What the registry accepts: signatures, versions, scope and the lint of signed facts, before anything is stored.

Devices check all of this again for themselves; refusing here keeps one publisher's slip from reaching them.
Signature, version and expiry failures are :class:`UntrustedError`; content that a holder of the key may not say is
:class:`RefusedError`. Everything is a pure function of bytes and a time.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime

from tuf.api.metadata import Metadata, Root, Targets

from headway.contract.digests import Digest, digest_of
from headway.contract.errors import RefusedError
from headway.contract.manifest import head_manifest_path
from headway.contract.targets import BaseTarget, HeadTarget
from headway.trust.bins import HeadRoles, base_of_heads, missing_in_bin
from headway.trust.lint import (
    lint_bases,
    lint_delegations,
    lint_heads,
    lint_heads_parent,
    lint_leaf,
    lint_root,
    read_heads,
)
from headway.trust.online import CHANNELS, OnlineKeys
from headway.trust.repository import ROOT, TARGETS, TrustFiles
from headway.trust.roles import BASES, TargetEntry, entries
from headway.trust.wire import facts, judged, parse, untrusted


@dataclass(frozen=True, slots=True)
class VerifiedRole:
    """Role metadata that passed :func:`verify_role_update`. ``data`` are the exact bytes; keep those.

    ``bases`` and ``heads`` pair each entry with its signed facts; they are empty for other roles.
    """

    role: str
    version: int
    expires: datetime
    data: bytes
    bases: tuple[tuple[TargetEntry, BaseTarget], ...] = ()
    heads: tuple[tuple[TargetEntry, HeadTarget], ...] = ()

    @property
    def digest(self) -> Digest:
        """Digest of the exact bytes."""
        return digest_of(self.data)


@dataclass(frozen=True, slots=True)
class VerifiedHeads:
    """A change of one base's heads that passed :func:`verify_heads_update`, over all roles that it touches.

    ``put`` are the heads that are new or of which something changed, ``gone`` the paths that left the metadata; a head
    that only moved from one role to another is in neither.
    """

    base_id: str
    roles: tuple[VerifiedRole, ...]
    put: tuple[tuple[TargetEntry, HeadTarget], ...]
    gone: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class VerifiedTrust:
    """A whole new repository that passed :func:`verify_trust`."""

    app: str
    root: VerifiedRole
    targets: VerifiedRole
    delegated: Mapping[str, VerifiedRole]


def verify_role_update(
    role: str, new: bytes, *, current: bytes | None, delegator: bytes, app: str, now: datetime
) -> VerifiedRole:
    """Judge a new version of a publisher's role (``targets``, ``bases`` or ``heads-<base id>``).

    ``delegator`` is the metadata that names the role's keys: root for ``targets``, targets for the others;
    ``current`` the bytes published now, or None for a new role.

    Raises:
        UntrustedError: codes ``bad_signature`` (threshold not met), ``expired_metadata``, ``malformed_metadata``.
        RefusedError: codes ``version_conflict`` (not current + 1; kind ``conflict``), ``out_of_scope``,
            ``wrong_app``, ``too_many_live``, ``immutable_release``, ``unknown_role``, ``malformed``.
    """
    base_id = base_of_heads(role)
    if base_id is not None:
        before = {} if current is None else {role: current}
        return verify_heads_update(base_id, {role: new}, current=before, targets=delegator, app=app, now=now).roles[0]
    metadata = _authentic(role, new, delegator, now)
    _in_sequence(role, metadata.signed.version, current)
    bases: tuple[tuple[TargetEntry, BaseTarget], ...] = ()
    if role == TARGETS:
        lint_delegations(metadata.signed)
    elif role == BASES:
        lint_leaf(role, metadata.signed)
        bases = lint_bases(entries(new, role), () if current is None else entries(current, role), app)
    else:
        raise _unknown(role)
    return VerifiedRole(role, metadata.signed.version, metadata.signed.expires, new, bases)


def _nobody(name: str) -> Iterable[HeadTarget]:
    return ()


def verify_heads_update(
    base_id: str,
    new: Mapping[str, bytes],
    *,
    current: Mapping[str, bytes],
    targets: bytes,
    app: str,
    now: datetime,
    beside: Callable[[str], Iterable[HeadTarget]] = _nobody,
) -> VerifiedHeads:
    """Judge new versions of the role ``heads-<base_id>``, of some of its bins, or of all of them: they hold together.

    ``current`` are the bytes published now: of the roles in ``new``, of ``heads-<base_id>``, and of all its bins where
    ``new`` has ``heads-<base_id>``. ``beside`` gives the signed heads of a name in the whole base; it is asked only
    where bins change by themselves, as the other releases of a name lie in other bins.

    Raises:
        UntrustedError: codes as :func:`verify_role_update`; ``bad_metadata``: a bin that nobody delegates to.
        RefusedError: codes as :func:`verify_role_update`; ``missing_role`` (a new number of bins comes with all of
            them), ``unvouched_role`` (a bin that was left out would not be signed by enough of the new keys).
    """
    role = HeadRoles(base_id).parent
    parent = new.get(role, current.get(role))
    if parent is None:
        raise _unknown(role)
    roles, before = HeadRoles.of(base_id, parent), HeadRoles.of(base_id, current.get(role))
    changed = {}
    for name in sorted(new, key=lambda name: (name != role, name)):
        metadata = _authentic(name, new[name], targets if name == role else parent, now)
        _in_sequence(name, metadata.signed.version, current.get(name))
        if name == role:
            lint_heads_parent(roles, metadata.signed, parse(Targets, targets, TARGETS).signed)
        else:
            lint_leaf(name, metadata.signed)
        changed[name] = metadata.signed
    after = roles.listing if role in new else tuple(name for name in roles.listing if name in new)
    old = before.listing if role in new else after
    if role in new:
        _whole(roles, before, new, current)
    listed = {name: read_heads(roles, name, entries(new.get(name) or current[name], name), app) for name in after}
    was = {entry.path: entry for name in old if name in current for entry in entries(current[name], name)}
    heads = [pair for name in after for pair in listed[name]]
    put = tuple(pair for pair in heads if was.get(pair[0].path) != pair[0])
    gone = tuple(sorted(set(was) - {entry.path for entry, _ in heads}))
    others = () if role in new else _others(roles, new, put, gone, beside)
    lint_heads(role, heads, tuple(was.values()), others)
    verified = (
        VerifiedRole(name, signed.version, signed.expires, new[name], (), listed.get(name, ()))
        for name, signed in changed.items()
    )
    return VerifiedHeads(base_id, tuple(verified), put, gone)


def verify_heads_stay(base_id: str, targets: bytes, current: bytes) -> None:
    """Judge new top-level ``targets`` by the role ``heads-<base_id>`` that stands: its bins must keep to its keys.

    Raises:
        RefusedError: as :func:`headway.trust.lint.lint_heads_parent`.
    """
    role = HeadRoles(base_id).parent
    heads = parse(Targets, current, role).signed
    lint_heads_parent(HeadRoles.of(base_id, current), heads, parse(Targets, targets, TARGETS).signed)


def verify_root_update(new: bytes, *, current: bytes, now: datetime) -> VerifiedRole:
    """Judge a new root: signed by the threshold of the current root's keys *and* of its own, version + 1.

    Raises:
        UntrustedError: codes ``bad_signature``, ``expired_metadata``, ``malformed_metadata``.
        RefusedError: codes ``version_conflict``, ``bad_threshold``, ``shared_online_key``, ``foreign_key``.
    """
    metadata = parse(Root, new, ROOT)
    before = parse(Root, current, ROOT)
    with judged(ROOT):
        for voucher in (before.signed, metadata.signed):
            voucher.verify_delegate(ROOT, metadata.signed_bytes, metadata.signatures)
    _fresh(ROOT, metadata, now)
    _in_sequence(ROOT, metadata.signed.version, current)
    lint_root(metadata.signed)
    return VerifiedRole(ROOT, metadata.signed.version, metadata.signed.expires, new)


def verify_trust(files: TrustFiles, *, app: str, online: OnlineKeys, now: datetime) -> VerifiedTrust:
    """Judge the first metadata of an app. ``online`` are the keys that this registry made for it.

    Raises:
        UntrustedError, RefusedError: as :func:`verify_role_update`; also ``missing_role`` and ``foreign_online_key``.
    """
    root = parse(Root, files.root, ROOT)
    with judged(ROOT):
        root.signed.verify_delegate(ROOT, root.signed_bytes, root.signatures)
    _fresh(ROOT, root, now)
    _in_sequence(ROOT, root.signed.version, None)
    lint_root(root.signed)
    targets = verify_role_update(TARGETS, files.targets, current=None, delegator=files.root, app=app, now=now)
    delegated_by = parse(Targets, files.targets, TARGETS).signed
    _holds_online_keys(root.signed, delegated_by, online)
    expected = set(delegated_by.delegations.roles or {} if delegated_by.delegations else {}) - {CHANNELS}
    if expected != set(files.delegated):
        raise RefusedError(
            "missing_role",
            f"The files of {sorted(expected ^ set(files.delegated))} are missing or not delegated.",
            hint="Send the first metadata of every role that targets delegates, except channels.",
        )
    delegated = {
        role: verify_role_update(role, data, current=None, delegator=files.targets, app=app, now=now)
        for role, data in files.delegated.items()
    }
    verified_root = VerifiedRole(ROOT, root.signed.version, root.signed.expires, files.root)
    return VerifiedTrust(app, verified_root, targets, delegated)


def _whole(roles: HeadRoles, before: HeadRoles, new: Mapping[str, bytes], current: Mapping[str, bytes]) -> None:
    """A role above bins stands for all of them: they come with it, or hold under it as they are."""
    missing = [name for name in roles.listing if name not in new and (roles != before or name not in current)]
    if missing:
        raise RefusedError(
            "missing_role",
            f"{roles.parent} would delegate to {missing[0]}, which is not there.",
            hint="Send the role together with all its bins, as `headway keys split` does.",
            role=missing[0],
        )
    for name in roles.listing if roles.bits else ():
        if name not in new and missing_in_bin(current[name], name, new[roles.parent]):
            raise RefusedError(
                "unvouched_role",
                f"The role {name} would not be signed by enough of its new keys.",
                hint="Send all bins signed anew, as `headway keys renew` and `headway keys rotate` do.",
                kind="conflict",
                role=name,
            )


def _others(
    roles: HeadRoles,
    new: Mapping[str, bytes],
    put: Iterable[tuple[TargetEntry, HeadTarget]],
    gone: Iterable[str],
    beside: Callable[[str], Iterable[HeadTarget]],
) -> tuple[HeadTarget, ...]:
    names = {fact.name for _, fact in put} | {path.split("/")[2] for path in gone}
    return tuple(
        head
        for name in sorted(names)
        for head in beside(name)
        if roles.home(head_manifest_path(roles.base_id, head.name, head.release)) not in new
    )


def _authentic(role: str, data: bytes, delegator: bytes, now: datetime) -> Metadata[Targets]:
    metadata = parse(Targets, data, role)
    voucher: Root | Targets
    if role == TARGETS:
        voucher = parse(Root, delegator, ROOT).signed
    else:
        voucher = parse(Targets, delegator, TARGETS).signed
    with judged(role):
        voucher.verify_delegate(role, metadata.signed_bytes, metadata.signatures)
    _fresh(role, metadata, now)
    return metadata


def _fresh(role: str, metadata: Metadata[Root] | Metadata[Targets], now: datetime) -> None:
    if metadata.signed.is_expired(now):
        raise untrusted(
            "expired_metadata",
            f"The new {role} expired on {metadata.signed.expires:%Y-%m-%d %H:%M} UTC.",
            role,
            hint="Sign it again with a current date; check the clock of the release machine.",
        )


def _unknown(role: str) -> RefusedError:
    return RefusedError(
        "unknown_role",
        f"There is no role {role[:80]!r} that a publisher signs.",
        hint="Roles are root, targets, bases and heads-BASE_ID; the bins of a role of heads follow it.",
        kind="not_found",
        role=role[:80],
    )


def _in_sequence(role: str, version: int, current: bytes | None) -> None:
    expected = 1 if current is None else facts(current, role).version + 1
    if version != expected:
        raise RefusedError(
            "version_conflict",
            f"The new {role} has version {version}; the next one is {expected}.",
            hint="Fetch the current role, make the change on top of it, sign and send it again.",
            kind="conflict",
            role=role,
            expected=expected,
            version=version,
        )


def _holds_online_keys(root: Root, targets: Targets, online: OnlineKeys) -> None:
    held = {
        "snapshot": (root.roles["snapshot"].keyids, online.snapshot),
        "timestamp": (root.roles["timestamp"].keyids, online.timestamp),
        CHANNELS: (targets.get_delegated_role(CHANNELS).keyids, online.channels),
    }
    for role, (keyids, key) in held.items():
        if list(keyids) != [key.keyid]:
            raise RefusedError(
                "foreign_online_key",
                f"The role {role} must be held by the key that this registry made for it.",
                hint="Ask the registry for the app's online keys and create the trust files from those.",
                role=role,
            )
