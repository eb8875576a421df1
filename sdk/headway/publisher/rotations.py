"""Changes of who may sign, against a registry: replace or revoke a key, change a threshold, new online keys.

What always holds: a role is signed *ahead* so that it counts under today's delegation and under tomorrow's, before
tomorrow's is published. So no device ever meets metadata it cannot verify, and a change that was cut off anywhere is
finished by making it again.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import datetime

from headway.contract.errors import RefusedError
from headway.publisher.head_roles import sign_bins_ahead
from headway.publisher.registry import Registry
from headway.publisher.signing import SignedRole, enough
from headway.trust.bins import HeadRoles, base_of_heads
from headway.trust.ceremony import (
    RootChange,
    admit,
    expel,
    holders,
    missing_signatures,
    next_root,
    next_targets,
    root_holders,
    sign_root,
)
from headway.trust.client import utc_now
from headway.trust.keys import KeyFolder, PublicKey, Signer, SigningKey, among
from headway.trust.online import CHANNELS, SNAPSHOT, TIMESTAMP
from headway.trust.repository import ROOT, TARGETS, Holders, keyids_for, sign_with_holders
from headway.trust.roles import renew

Now = Callable[[], datetime]


def rotate_key(registry: Registry, keys: KeyFolder, name: str, *, now: Now = utc_now) -> tuple[str, SigningKey]:
    """Replace the key ``name`` (or a key id) by a new one in every role it holds; the new key and its name.

    The old key's file stays: destroy it when the rotation is through. A key that is lost or stolen is replaced just
    so, as long as enough other keys are at hand. A new key from an earlier, unfinished attempt is used again.

    Raises:
        RefusedError: codes ``no_such_key``, ``threshold_not_met``.
    """
    old_id = keys.load(name).public.keyid if name in keys.names() else name
    at_top = _holding(root_holders(registry.role(ROOT)), old_id)
    delegated = _holding(holders(registry.role(TARGETS)), old_id)
    if not {*at_top, *delegated} - {SNAPSHOT, TIMESTAMP, CHANNELS}:
        raise RefusedError(
            "no_such_key",
            f"The key {name[:12]} holds no role that people sign.",
            hint="See who holds what with `headway keys show`; online keys have `headway keys rotate-online`.",
            kind="not_found",
        )
    stem = name if name in keys.names() else next(iter(at_top), "publisher")
    new_name, new = _new_key(keys, stem)
    rest = tuple(key for key in keys.all() if key.public.keyid != old_id)
    if at_top:
        replaced = {role: _replaced(held, old_id, new.public) for role, held in at_top.items()}
        change = RootChange(root=replaced.get(ROOT), targets=replaced.get(TARGETS))
        # The old key counts for today's threshold: sign with it too where it is at hand.
        post_root(registry, change, keys.all(), now)
    else:
        _rotate_publisher(registry, old_id, new, delegated, rest, now)
    return new_name, new


def revoke_key(registry: Registry, keys: KeyFolder, keyid: str, *, now: Now = utc_now) -> SignedRole:
    """Take a publisher's key out of every role without a replacement; others must hold those roles too.

    Raises:
        RefusedError: codes ``no_such_key``, ``bad_threshold`` (rotate it instead), ``threshold_not_met``.
    """
    held = _holding(holders(registry.role(TARGETS)), keyid)
    return post_targets(registry, expel(registry.role(TARGETS), keyid, now=now()), keys.all(), ahead=held, now=now)


def admit_key(registry: Registry, keys: KeyFolder, new: PublicKey, beside: str, *, now: Now = utc_now) -> SignedRole:
    """Let another publisher's key sign wherever the key ``beside`` may; nothing that is signed has to change.

    Raises:
        RefusedError: codes ``no_such_key``, ``threshold_not_met``.
    """
    draft = admit(registry.role(TARGETS), new, beside=beside, now=now())
    return post_targets(registry, draft, keys.all(), now=now)


def change_threshold(
    registry: Registry, keys: KeyFolder, role: str, threshold: int, *, now: Now = utc_now
) -> SignedRole:
    """Change how many of a role's keys must sign.

    Raises:
        RefusedError: codes ``bad_threshold``, ``unknown_role``, ``threshold_not_met``.
    """
    if role in (ROOT, TARGETS):
        held = Holders(root_holders(registry.role(ROOT))[role].keys, threshold)
        change = RootChange(root=held) if role == ROOT else RootChange(targets=held)
        return post_root(registry, change, keys.all(), now)
    delegated = holders(registry.role(TARGETS))
    if role not in delegated:
        raise RefusedError(
            "unknown_role", f"There is no role {role}.", hint="See `headway keys show`.", kind="not_found"
        )
    draft = next_targets(registry.role(TARGETS), {role: Holders(delegated[role].keys, threshold)}, now=now())
    return post_targets(registry, draft, keys.all(), ahead=[role], now=now)


def rotate_online_keys(registry: Registry, keys: KeyFolder, *, now: Now = utc_now) -> None:
    """Give the registry new online keys, as after a break-in: root and targets name them, the old ones are worthless.

    Devices that a thief fast-forwarded come back too: they drop what the old keys signed. Cut off half-way, the
    registry signs with old and new keys as its metadata says; running it again replaces them all.

    Raises:
        RefusedError: codes ``threshold_not_met``, ``not_allowed`` (it needs the scope ``admin``).
    """
    online = registry.replace_online_keys()
    post_root(registry, RootChange(snapshot=online.snapshot, timestamp=online.timestamp), keys.all(), now)
    draft = next_targets(registry.role(TARGETS), {CHANNELS: Holders((online.channels,))}, now=now())
    post_targets(registry, draft, keys.all(), now=now)


def post_targets(
    registry: Registry, draft: bytes, signers: Sequence[Signer], *, ahead: Iterable[str] = (), now: Now = utc_now
) -> SignedRole:
    """Sign and post new top-level targets, after signing the roles ``ahead`` so that they hold under both.

    Raises:
        RefusedError: code ``threshold_not_met``, or the registry's.
    """
    root = registry.role(ROOT)
    for role in ahead:
        _sign_ahead(registry, role, signers, root=root, targets=draft, now=now)
    data = sign_with_holders(draft, TARGETS, signers, root=root, targets=draft)
    enough(missing_signatures(data, TARGETS, root=root, targets=draft), TARGETS)
    posted = registry.post_role(TARGETS, data)
    return SignedRole(TARGETS, posted.version, posted.changed)


def post_root(registry: Registry, change: RootChange, signers: Sequence[Signer], now: Now) -> SignedRole:
    """Sign and post a new root, by the holders before and after; targets is signed ahead where its holders change.

    Raises:
        RefusedError: code ``threshold_not_met``, or the registry's.
    """
    current, targets = registry.role(ROOT), registry.role(TARGETS)
    draft = sign_root(next_root(current, change, now=now()), current, signers)
    for voucher in (current, draft):
        enough(missing_signatures(draft, ROOT, root=voucher, targets=targets), ROOT)
    if change.targets is not None:
        _sign_ahead(registry, TARGETS, signers, root=draft, targets=targets, now=now)
    posted = registry.post_role(ROOT, draft)
    return SignedRole(ROOT, posted.version, posted.changed)


def _sign_ahead(
    registry: Registry, role: str, signers: Sequence[Signer], *, root: bytes, targets: bytes, now: Now
) -> None:
    """Sign ``role`` so that it holds today and under tomorrow's ``root`` and ``targets``, if it does not yet."""
    current = registry.role_or_none(role)
    base_id = base_of_heads(role)
    if current is not None and base_id is not None and HeadRoles.of(base_id, current).bits:
        sign_bins_ahead(registry, base_id, signers, targets=targets, now=now())
        return
    if current is None or not missing_signatures(current, role, root=root, targets=targets):
        return
    today_root, today_targets = registry.role(ROOT), registry.role(TARGETS)
    days = ((today_root, today_targets), (root, targets))
    allowed = {keyid for day in days for keyid in keyids_for(role, root=day[0], targets=day[1])}
    data = renew(current, role, among(signers, allowed), now=now())
    for day_root, day_targets in days:
        enough(missing_signatures(data, role, root=day_root, targets=day_targets), role)
    registry.post_role(role, data)


def _rotate_publisher(
    registry: Registry,
    old_id: str,
    new: SigningKey,
    held: Mapping[str, Holders],
    signers: Sequence[Signer],
    now: Now,
) -> None:
    if not all(new.public in holder.keys for holder in held.values()):
        post_targets(registry, admit(registry.role(TARGETS), new.public, beside=old_id, now=now()), signers, now=now)
    draft = expel(registry.role(TARGETS), old_id, now=now())
    post_targets(registry, draft, signers, ahead=held, now=now)


def _holding(held: Mapping[str, Holders], keyid: str) -> dict[str, Holders]:
    return {role: holder for role, holder in held.items() if any(key.keyid == keyid for key in holder.keys)}


def _replaced(held: Holders, old_id: str, new: PublicKey) -> Holders:
    return Holders(tuple(new if key.keyid == old_id else key for key in held.keys), held.threshold)


def _new_key(keys: KeyFolder, stem: str) -> tuple[str, SigningKey]:
    base, _, number = stem.rpartition("-v")
    name = f"{base}-v{int(number) + 1}" if base and number.isdigit() else f"{stem}-v2"
    return name, keys.load(name) if name in keys.names() else keys.create(name)
