"""What the registry accepts: signatures, versions, scope and the lint of signed facts, before anything is stored.

Devices check all of this again for themselves; refusing here keeps one publisher's slip from reaching them.
Signature, version and expiry failures are :class:`UntrustedError`; content that a holder of the key may not say is
:class:`RefusedError`. Everything is a pure function of bytes and a time.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from tuf.api.metadata import Metadata, Root, Targets

from headway.contract.digests import Digest, digest_of
from headway.contract.errors import RefusedError
from headway.contract.targets import BaseTarget, HeadTarget
from headway.trust.lint import lint_delegations, lint_entries, lint_leaf, lint_root
from headway.trust.online import CHANNELS, OnlineKeys
from headway.trust.repository import ROOT, TARGETS, TrustFiles
from headway.trust.roles import TargetEntry, entries
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
    entries: tuple[TargetEntry, ...] = ()
    bases: tuple[tuple[TargetEntry, BaseTarget], ...] = ()
    heads: tuple[tuple[TargetEntry, HeadTarget], ...] = ()

    @property
    def digest(self) -> Digest:
        """Digest of the exact bytes."""
        return digest_of(self.data)


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
    metadata = _authentic(role, new, delegator, now)
    _in_sequence(role, metadata.signed.version, current)
    if role == TARGETS:
        lint_delegations(metadata.signed)
        return VerifiedRole(role, metadata.signed.version, metadata.signed.expires, new)
    lint_leaf(role, metadata.signed)
    listed = lint_entries(role, entries(new, role), () if current is None else entries(current, role), app)
    return VerifiedRole(
        role,
        metadata.signed.version,
        metadata.signed.expires,
        new,
        entries=tuple(entry for entry, _ in listed),
        bases=tuple((entry, fact) for entry, fact in listed if isinstance(fact, BaseTarget)),
        heads=tuple((entry, fact) for entry, fact in listed if isinstance(fact, HeadTarget)),
    )


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
