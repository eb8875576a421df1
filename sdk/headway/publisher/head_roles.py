"""The signed roles of one base's heads: put a head in, split the role into bins and back, renew it, give it new keys.

Roles that change together are sent together: the registry publishes all of them or none. Only roles in which something
changes are signed anew, and where two publishers meet in one bin the slower one signs again on top. The role above the
bins is signed with all of them and never after one of them, so its expiry is the earliest of all.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from functools import partial

from headway.contract.errors import RefusedError, TransferError
from headway.contract.targets import HeadTarget
from headway.publisher.registry import Registry
from headway.publisher.signing import SignedRole, allowed_signers, enough, retried
from headway.trust.bins import (
    HeadRoles,
    arranged,
    bin_holders,
    bits_for,
    bits_of_count,
    missing_in_bin,
    outgrown,
    placed,
)
from headway.trust.ceremony import holders, missing_signatures
from headway.trust.keys import Signer, among
from headway.trust.lifetimes import LIFETIMES
from headway.trust.repository import Holders
from headway.trust.roles import TargetEntry, edit, entries, heads_role, sign_heads, surplus_heads
from headway.trust.wire import add_signatures, facts

_RENEW_BEFORE = timedelta(days=LIFETIMES.publisher_days // 2)
_RENEW_TOGETHER = 64  # bins in one request
_LOST_RACES = ("version_conflict", "too_many_live", "deleted_release")


@dataclass(frozen=True, slots=True)
class HeadsNow:
    """The roles of a base's heads as the registry publishes them now; bins are fetched as they are asked for."""

    registry: Registry
    roles: HeadRoles
    parent: bytes | None
    targets: bytes

    @classmethod
    def of(cls, registry: Registry, base_id: str) -> HeadsNow:
        """Ask the registry."""
        parent = registry.role_or_none(heads_role(base_id))
        return cls(registry, HeadRoles.of(base_id, parent), parent, registry.role("targets"))

    def role(self, role: str) -> bytes:
        """The bytes of one of the roles."""
        return self.parent if role == self.roles.parent and self.parent is not None else self.registry.role(role)

    def entry(self, path: str) -> TargetEntry | None:
        """What is signed about one head, or None."""
        if self.parent is None:
            return None
        role = self.roles.home(path)
        return next((entry for entry in entries(self.role(role), role) if entry.path == path), None)

    def listing(self) -> dict[str, bytes]:
        """All roles that list heads: fetches every bin."""
        return {} if self.parent is None else {role: self.role(role) for role in self.roles.listing}

    def arranged(
        self, bits: int, held: Holders, now: datetime, *, put: Sequence[TargetEntry] = (), drop: Iterable[str] = ()
    ) -> dict[str, bytes]:
        """The next version of every role, unsigned, with all heads in ``2 ** bits`` bins, some put in or dropped."""
        listing = self.listing()
        changed = {*drop, *(entry.path for entry in put)}
        kept = [entry for role, data in listing.items() for entry in entries(data, role) if entry.path not in changed]
        # What is built upon is what was read: whoever published since then must find this refused, not be undone.
        read = {**listing, **({} if self.parent is None else {self.roles.parent: self.parent})}
        versions = self.registry.role_versions() | {role: facts(data, role).version for role, data in read.items()}
        return arranged(HeadRoles(self.roles.base_id, bits), [*kept, *put], held, versions, now=now)

    def held(self) -> Holders:
        """Who may sign the role, by top-level targets.

        Raises:
            RefusedError: code ``unknown_role``.
        """
        held = holders(self.targets).get(self.roles.parent)
        if held is None:
            raise RefusedError(
                "unknown_role",
                f"The role {self.roles.parent} is not delegated.",
                hint="Delegate it first: `headway keys delegate`.",
                kind="not_found",
            )
        return held


Change = Callable[[HeadsNow], Mapping[str, bytes]]


def put_head_entry(
    registry: Registry, base_id: str, entry: TargetEntry, signers: Sequence[Signer], now: datetime
) -> SignedRole:
    """Sign a head's entry into its base's role or its bin; nothing is signed if it stands there.

    A flat role that grows past :data:`headway.trust.bins.SPLIT_ABOVE` heads is split, and split again when the heads
    have outgrown their bins; bins are renewed, all together, when half of their time is over or other keys may sign
    them.

    Raises:
        RefusedError: codes ``no_signing_key``, ``threshold_not_met``, ``contended``, or the registry's.
    """
    there = HeadsNow.of(registry, base_id)
    if there.entry(entry.path) == entry:
        role = there.roles.home(entry.path)
        return SignedRole(role, facts(there.role(role), role).version, changed=False)
    signed = post_heads(registry, base_id, signers, lambda current: _with_entry(current, entry, now))
    there = HeadsNow.of(registry, base_id)
    if outgrown(there.roles.bits, signed.heads):
        return replace(signed, advice=_split_again(registry, base_id, signers, now))
    if there.roles.bits and facts(there.role(there.roles.parent), "heads").expires - now < _RENEW_BEFORE:
        renew_heads(registry, base_id, signers, now)
    return signed


def _split_again(registry: Registry, base_id: str, signers: Sequence[Signer], now: datetime) -> str:
    """Into as many bins as suit. What was published stays published where that fails: what to do about it, or empty."""
    try:
        split_heads(registry, base_id, signers, now=now)
    except (RefusedError, TransferError) as error:
        return (
            f"The heads of {base_id} have outgrown their bins, and splitting them again failed: {error.message} "
            f"Do it when that is mended: headway keys split {base_id}"
        )
    return ""


def split_heads(
    registry: Registry, base_id: str, signers: Sequence[Signer], *, bins: int | None = None, now: datetime
) -> tuple[int, SignedRole]:
    """Split the role of a base's heads into ``bins`` (a power of 2; None: as many as suit its heads), or with 1 put
    them back into one role; the number of bins there are now.

    Devices that hold the roles of before go on to the new ones at their next poll; what they run is not touched.

    Raises:
        RefusedError: codes ``too_many_bins``, or as :func:`put_head_entry`.
    """
    there = HeadsNow.of(registry, base_id)
    count = sum(len(entries(data, role)) for role, data in there.listing().items()) if bins is None else 0
    bits = bits_for(count) if bins is None else bits_of_count(bins)
    if bits == there.roles.bits:
        return 1 << bits, SignedRole(there.roles.parent, facts(there.role(there.roles.parent), "heads").version, False)
    signed = post_heads(registry, base_id, signers, lambda current: current.arranged(bits, current.held(), now))
    return 1 << bits, signed


def renew_heads(registry: Registry, base_id: str, signers: Sequence[Signer], now: datetime) -> SignedRole:
    """Sign the role of a base's heads and all its bins anew without a change; raises as :func:`put_head_entry`.

    Bins go in groups and the role above them last, so that it says by its expiry whether a renewal came to its end.
    """
    there = HeadsNow.of(registry, base_id)
    if _others_sign(there):
        return post_heads(
            registry,
            base_id,
            signers,
            lambda current: current.arranged(current.roles.bits, current.held(), now),
        )
    bins = there.roles.listing if there.roles.bits else ()
    groups = [bins[first : first + _RENEW_TOGETHER] for first in range(0, len(bins), _RENEW_TOGETHER)]
    for group in (*groups, (there.roles.parent,)):
        signed = post_heads(registry, base_id, signers, partial(_again, roles=group, now=now))
    return signed


def sign_bins_ahead(
    registry: Registry, base_id: str, signers: Sequence[Signer], *, targets: bytes, now: datetime
) -> None:
    """Sign a split role so that it holds today and under tomorrow's ``targets``, and its bins by tomorrow's keys.

    Raises:
        RefusedError: code ``threshold_not_met``, or the registry's.
    """
    there = HeadsNow.of(registry, base_id)
    parent = there.role(there.roles.parent)
    tomorrow = holders(targets)[there.roles.parent]
    held = Holders(tomorrow.keys, max(tomorrow.threshold, there.held().threshold))
    days = (there.targets, targets)
    root = registry.role("root")
    standing = bin_holders(parent, base_id)
    if (
        standing is not None
        and set(standing.keys) <= set(held.keys)
        and standing.threshold >= tomorrow.threshold
        and not missing_signatures(parent, there.roles.parent, root=root, targets=targets)
    ):
        return
    drafts = there.arranged(there.roles.bits, held, now)
    allowed = {key.keyid for day in days for key in holders(day)[there.roles.parent].keys}
    signed = _signed(there, drafts, among(signers, allowed))
    for day in days:
        name = there.roles.parent
        enough(missing_signatures(signed[name], name, root=root, targets=day), name)
    registry.post_roles(signed)


def post_heads(registry: Registry, base_id: str, signers: Sequence[Signer], make: Change) -> SignedRole:
    """Make the next versions of roles with ``make``, sign and post them together; retried on lost races.

    Raises:
        RefusedError: as :func:`put_head_entry`.
    """
    role = heads_role(base_id)
    allowed = allowed_signers(registry, role, signers)
    root = registry.role("root")

    def attempt() -> SignedRole:
        there = HeadsNow.of(registry, base_id)
        signed = _signed(there, make(there), allowed)
        if role in signed:
            enough(missing_signatures(signed[role], role, root=root, targets=there.targets), role)
        if len(signed) == 1:
            posted = [registry.post_role(*item) for item in signed.items()]
        else:
            posted = list(registry.post_roles(signed))
        told = next((one for one in posted if one.role == role), posted[0])
        return SignedRole(told.role, told.version, any(one.changed for one in posted), told.heads)

    return retried(role, attempt, _LOST_RACES)


def _with_entry(there: HeadsNow, entry: TargetEntry, now: datetime) -> Mapping[str, bytes]:
    roles = there.roles
    if roles.bits == 0:
        flat = sign_heads(there.parent, roles.base_id, [entry], (), now=now)
        stay = {head.path for head in entries(flat, roles.parent)}
        bits = bits_for(len(stay))
        if not bits or there.parent is None:
            return {roles.parent: flat}
        gone = {head.path for head in entries(there.parent, roles.parent)} - stay
        return there.arranged(bits, there.held(), now, put=[entry], drop=gone)
    drop = _pushed_out(there, entry)
    if _others_sign(there):
        return there.arranged(roles.bits, there.held(), now, put=[entry], drop=drop)
    touched = {roles.home(path) for path in (entry.path, *drop)}
    return placed(roles, {role: there.role(role) for role in touched}, [entry], drop=drop, now=now)


def _others_sign(there: HeadsNow) -> bool:
    """Whether other keys may sign the role now than sign its bins: then all are signed anew, together."""
    standing, held = bin_holders(there.parent or b"", there.roles.base_id) if there.roles.bits else None, there.held()
    return standing is not None and (set(standing.keys), standing.threshold) != (set(held.keys), held.threshold)


def _again(there: HeadsNow, *, roles: Collection[str], now: datetime) -> dict[str, bytes]:
    return {role: edit(there.role(role), role, now=now) for role in roles}


def _pushed_out(there: HeadsNow, entry: TargetEntry) -> tuple[str, ...]:
    """Paths of older releases that ``entry`` pushes out of the metadata; they lie in any bin."""
    new = HeadTarget.from_json(entry.custom)
    signed = (
        HeadTarget.from_json(record["custom"])
        for record in there.registry.heads(new.name)
        if record["base_id"] == new.base_id and record["state"] == "live"
    )
    return surplus_heads([new, *(head for head in signed if head.release != new.release)])


def _signed(there: HeadsNow, drafts: Mapping[str, bytes], signers: Sequence[Signer]) -> dict[str, bytes]:
    parent = drafts.get(there.roles.parent, there.parent) or b""
    bins = bin_holders(parent, there.roles.base_id)
    keyids = () if bins is None else tuple(key.keyid for key in bins.keys)
    signed = {}
    for role, draft in drafts.items():
        if role == there.roles.parent:
            signed[role] = add_signatures(draft, role, signers)
            continue
        signed[role] = add_signatures(draft, role, among(signers, keyids))
        enough(missing_in_bin(signed[role], role, parent), role)
    return signed
