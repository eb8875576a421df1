"""Changes of who may sign: rotate root, change a threshold, add a base, replace online keys, revoke a publisher.

Each function takes the current bytes and gives an unsigned next version; sign it with
:func:`headway.trust.repository.sign_with_holders` or by file exchange. A new root must be signed by the holders of the
old *and* the new root role: :func:`sign_root` asks both.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime

from tuf.api.metadata import Delegations, Root, Targets

from headway.contract.errors import RefusedError
from headway.trust.keys import PublicKey, Signer, among
from headway.trust.lifetimes import LIFETIMES, Lifetimes
from headway.trust.online import CHANNELS, SNAPSHOT, TIMESTAMP
from headway.trust.repository import ROOT, TARGETS, Holders, delegated_role, keyids_for
from headway.trust.roles import heads_role
from headway.trust.wire import add_signatures, library_key, parse, parse_role, unsigned


@dataclass(frozen=True, slots=True)
class RootChange:
    """New holders of the top-level roles; None leaves a role as it is."""

    root: Holders | None = None
    targets: Holders | None = None
    snapshot: PublicKey | None = None
    timestamp: PublicKey | None = None

    def holders(self) -> dict[str, Holders]:
        """The roles that change."""
        new = {
            ROOT: self.root,
            TARGETS: self.targets,
            SNAPSHOT: None if self.snapshot is None else Holders((self.snapshot,)),
            TIMESTAMP: None if self.timestamp is None else Holders((self.timestamp,)),
        }
        return {role: held.checked(role) for role, held in new.items() if held is not None}


def next_root(current: bytes, change: RootChange, *, now: datetime, lifetimes: Lifetimes = LIFETIMES) -> bytes:
    """The next root, unsigned. An empty change renews its expiry.

    Replacing the snapshot and timestamp keys also lets clients recover from versions that a thief drove up: they drop
    what the old keys signed.

    Raises:
        RefusedError: code ``bad_threshold``.
    """
    root = parse(Root, current, ROOT).signed
    for role, held in change.holders().items():
        for keyid in tuple(root.roles[role].keyids):
            root.revoke_key(keyid, role)
        for key in held.keys:
            root.add_key(library_key(key), role)
        root.roles[role].threshold = held.threshold
    root.version += 1
    root.expires = lifetimes.expiry(ROOT, now)
    return unsigned(root)


def sign_root(draft: bytes, current: bytes, signers: Iterable[Signer]) -> bytes:
    """``draft`` signed by those of ``signers`` that hold the root role before or after the change."""
    keyids = {
        *parse(Root, current, ROOT).signed.roles[ROOT].keyids,
        *parse(Root, draft, ROOT).signed.roles[ROOT].keyids,
    }
    return add_signatures(draft, ROOT, among(signers, keyids))


def next_targets(
    current: bytes, changes: Mapping[str, Holders], *, now: datetime, lifetimes: Lifetimes = LIFETIMES
) -> bytes:
    """The next top-level targets with new holders for some delegated roles, unsigned; a new role is put in.

    ``changes`` is by role: ``bases``, ``heads-<base id>`` or ``channels``. The order of trust stays: bases, heads in
    order of their appearance, channels.

    Raises:
        RefusedError: codes ``bad_threshold``, ``unknown_role``.
    """
    targets = parse(Targets, current, TARGETS).signed
    held = {**holders(current), **changes}
    ordered = sorted(held, key=lambda role: (role == CHANNELS, role.startswith("heads-")))
    keys = {key.keyid: library_key(key) for role in ordered for key in held[role].keys}
    targets.delegations = Delegations(keys, {role: delegated_role(role, held[role]) for role in ordered})
    targets.version += 1
    targets.expires = lifetimes.expiry(TARGETS, now)
    return unsigned(targets)


def add_base(current: bytes, base_id: str, held: Holders, *, now: datetime) -> bytes:
    """The next targets, unsigned, with a role for the heads of a new base.

    Raises:
        RefusedError: codes ``role_exists``, ``bad_threshold``, ``malformed``.
    """
    role = heads_role(base_id)
    if role in holders(current):
        raise RefusedError(
            "role_exists",
            f"The role {role} is already delegated.",
            hint="Publish heads with it, or change its keys with `headway keys rotate`.",
            kind="conflict",
            role=role,
        )
    return next_targets(current, {role: held}, now=now)


def holders(targets: bytes) -> dict[str, Holders]:
    """Who holds each delegated role now, in order of trust.

    Raises:
        RefusedError: code ``malformed``; a key of another kind than ours.
        UntrustedError: the metadata cannot be read.
    """
    delegations = parse(Targets, targets, TARGETS).signed.delegations
    if delegations is None or not delegations.roles:
        return {}
    keys = {
        keyid: PublicKey.from_json({"keyid": keyid, "key": key.to_dict()}) for keyid, key in delegations.keys.items()
    }
    return {
        name: Holders(tuple(keys[keyid] for keyid in role.keyids), role.threshold)
        for name, role in delegations.roles.items()
    }


def root_holders(root: bytes) -> dict[str, Holders]:
    """Who holds each top-level role now; raises as :func:`holders`."""
    signed = parse(Root, root, ROOT).signed
    keys = {keyid: PublicKey.from_json({"keyid": keyid, "key": key.to_dict()}) for keyid, key in signed.keys.items()}
    return {
        name: Holders(tuple(keys[keyid] for keyid in role.keyids), role.threshold)
        for name, role in signed.roles.items()
    }


def admit(current: bytes, publisher: PublicKey, *, beside: str, now: datetime) -> bytes:
    """The next targets, unsigned, in which ``publisher`` may sign wherever the key ``beside`` may.

    First half of replacing a publisher: admit the new key, sign every role anew with it, then :func:`expel` the old.
    In that order no device ever meets a role whose signature does not count.

    Raises:
        RefusedError: code ``no_such_key``.
    """
    changes = {
        role: Holders((*held.keys, publisher), held.threshold)
        for role, held in _held_by(current, beside).items()
        if publisher not in held.keys
    }
    return next_targets(current, changes, now=now)


def expel(current: bytes, keyid: str, *, now: datetime) -> bytes:
    """The next targets, unsigned, in which a publisher's key may sign nothing any more.

    Raises:
        RefusedError: codes ``no_such_key``; ``bad_threshold`` where too few other keys hold a role (:func:`admit`
            another first).
    """
    changes = {
        role: Holders(tuple(key for key in held.keys if key.keyid != keyid), held.threshold).checked(role)
        for role, held in _held_by(current, keyid).items()
    }
    return next_targets(current, changes, now=now)


def missing_signatures(data: bytes, role: str, *, root: bytes, targets: bytes) -> int:
    """How many more signatures ``role`` needs; 0 when its threshold is met. For a changed root, ask for both roots."""
    metadata = parse_role(data, role)
    voucher = parse(Root, root, ROOT).signed if role in (ROOT, TARGETS) else parse(Targets, targets, TARGETS).signed
    keyids_for(role, root=root, targets=targets)
    result = voucher.get_verification_result(role, metadata.signed_bytes, metadata.signatures)
    return max(0, result.threshold - len(result.signed))


def _held_by(targets: bytes, keyid: str) -> dict[str, Holders]:
    held = {role: h for role, h in holders(targets).items() if any(key.keyid == keyid for key in h.keys)}
    if not held:
        raise RefusedError(
            "no_such_key",
            f"The key {keyid[:12]}… holds no delegated role.",
            hint="See who holds what with `headway keys show`.",
            kind="not_found",
        )
    return held
