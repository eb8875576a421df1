"""The heads of one base in one role, or the same role split into hash bins (TUF, TAP 15: succinct delegations).

A flat role ``heads-<base id>`` lists every head, and every device that looks one up downloads all of it. Split, it
lists none and delegates to ``2 ** bits`` roles ``bins-<base id>-<hex>``, under the same keys: a head stands in the bin
that the first bits of its path's SHA-256 name. The hash is of the whole path, as TUF wants it, so the releases of one
name lie in several bins. Everything here is pure, unsigned and unverified; :mod:`headway.trust.verify` judges it.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property

from tuf.api.metadata import Delegations, SuccinctRoles, Targets

from headway.contract.errors import RefusedError
from headway.trust.keys import PublicKey
from headway.trust.lifetimes import LIFETIMES, Lifetimes
from headway.trust.repository import Holders
from headway.trust.roles import TargetEntry, edit, heads_role
from headway.trust.wire import library_key, parse, unsigned

SPLIT_ABOVE = 500
"""Heads that a flat role holds before publishing splits it."""

MAX_BITS = 10
_ENTRY_BYTES, _LISTED_BYTES = 970, 150  # a head in its role; a role in the snapshot (benchmarks/bins.py measures both)


def bins_prefix(base_id: str) -> str:
    """What the names of a base's bins begin with. A bin's number has no dash, so that no two bases can clash."""
    return f"bins-{base_id}"


def base_of_heads(role: str) -> str | None:
    """The base whose heads a role holds, if it is a role of heads at all: ``heads-<base id>`` or one of its bins."""
    if role.startswith("heads-"):
        return role.removeprefix("heads-")
    prefix, dash, number = role.rpartition("-")
    if dash and number and prefix.startswith("bins-"):
        return prefix.removeprefix("bins-")
    return None


@dataclass(frozen=True)
class HeadRoles:
    """Which roles hold the heads of ``base_id``: one if ``bits`` is 0, else ``2 ** bits`` bins."""

    base_id: str
    bits: int = 0

    @classmethod
    def of(cls, base_id: str, parent: bytes | None) -> HeadRoles:
        """As the role ``heads-<base_id>`` says (None: it is not there yet).

        Raises:
            UntrustedError: it cannot be read.
        """
        if parent is None:
            return cls(base_id)
        delegations = parse(Targets, parent, heads_role(base_id)).signed.delegations
        succinct = None if delegations is None else delegations.succinct_roles
        return cls(base_id, 0 if succinct is None else succinct.bit_length)

    @property
    def parent(self) -> str:
        """The role that top-level targets delegates: the flat one, or the one above the bins."""
        return heads_role(self.base_id)

    @cached_property
    def listing(self) -> tuple[str, ...]:
        """The roles that list heads.

        Raises:
            RefusedError: code ``too_many_bins``.
        """
        return tuple(self._succinct.get_roles()) if self.bits else (self.parent,)

    def home(self, path: str) -> str:
        """The one role that may list ``path``."""
        return self._succinct.get_role_for_target(path) if self.bits else self.parent

    @cached_property
    def _succinct(self) -> SuccinctRoles:
        return _succinct(self, ())


def bits_for(heads: int) -> int:
    """Into how many bins (as a power of 2) to split so many heads; 0 while one role does.

    A device downloads one bin, and the snapshot that lists all of them: the sum is least where both weigh the same.
    """
    if heads <= SPLIT_ABOVE:
        return 0
    best = math.isqrt(heads * _ENTRY_BYTES // _LISTED_BYTES)
    return min(MAX_BITS, best.bit_length())


def outgrown(bits: int, heads: int) -> bool:
    """Whether so many heads should stand in more bins than ``2 ** bits``, which are a quarter of what suits, or fewer.

    Until then a device downloads at most a quarter more than it would have to. Sooner would not pay: every new number
    of bins makes every device download its bins anew.
    """
    return bits > 0 and bits_for(heads) >= bits + 2


def bits_of_count(bins: int) -> int:
    """The power of 2 that ``bins`` is; 0 for 1, which means one flat role.

    Raises:
        RefusedError: code ``too_many_bins``; also for what is no power of 2.
    """
    bits = bins.bit_length() - 1
    if bins < 1 or bins != 1 << bits or bits > MAX_BITS:
        raise RefusedError(
            "too_many_bins",
            f"A role cannot be split into {bins} bins.",
            hint=f"Give a power of 2 up to {1 << MAX_BITS}; 1 puts everything back into one role.",
            bins=bins,
        )
    return bits


def arranged(
    roles: HeadRoles,
    heads: Iterable[TargetEntry],
    held: Holders,
    versions: Mapping[str, int],
    *,
    now: datetime,
    lifetimes: Lifetimes = LIFETIMES,
) -> dict[str, bytes]:
    """The next version of every role of ``roles``, unsigned, each head in its place: a split, a merge, a renewal.

    ``held`` may sign the bins; ``versions`` are those published now. Bins that no role names any more are left alone:
    a snapshot may never stop listing a role, and a later split goes on from their versions.
    """
    lists: dict[str, list[TargetEntry]] = {role: [] for role in roles.listing}
    for entry in heads:
        lists[roles.home(entry.path)].append(entry)
    drafts = {
        role: edit(None, role, put=put, now=now, lifetimes=lifetimes, version=versions.get(role, 0) + 1)
        for role, put in lists.items()
    }
    if roles.bits:
        drafts[roles.parent] = unsigned(
            Targets(
                version=versions.get(roles.parent, 0) + 1,
                expires=lifetimes.expiry(roles.parent, now),
                delegations=_delegations(roles, held),
            )
        )
    return drafts


def placed(
    roles: HeadRoles,
    current: Mapping[str, bytes],
    put: Iterable[TargetEntry],
    *,
    drop: Iterable[str] = (),
    now: datetime,
) -> dict[str, bytes]:
    """The next versions, unsigned, of just those roles in which entries are put or dropped.

    ``current`` has the bytes of each of them.
    """
    puts, drops = tuple(put), tuple(drop)
    touched = {roles.home(path) for path in (*drops, *(entry.path for entry in puts))}
    return {
        role: edit(
            current[role],
            role,
            put=[entry for entry in puts if roles.home(entry.path) == role],
            drop=[path for path in drops if roles.home(path) == role],
            now=now,
        )
        for role in sorted(touched)
    }


def bin_holders(parent: bytes, base_id: str) -> Holders | None:
    """Who may sign the bins under a role ``heads-<base_id>``; None while it is flat.

    Raises:
        RefusedError: code ``malformed``; a key of another kind than ours.
        UntrustedError: it cannot be read.
    """
    delegations = parse(Targets, parent, heads_role(base_id)).signed.delegations
    if delegations is None or delegations.succinct_roles is None:
        return None
    succinct = delegations.succinct_roles
    keys = (
        PublicKey.from_json({"keyid": keyid, "key": delegations.keys[keyid].to_dict()})
        for keyid in succinct.keyids
        if keyid in delegations.keys
    )
    return Holders(tuple(keys), succinct.threshold)


def missing_in_bin(data: bytes, role: str, parent: bytes) -> int:
    """How many more signatures a bin needs under ``parent``; 0 when its threshold is met."""
    metadata = parse(Targets, data, role)
    result = parse(Targets, parent, "heads").signed.get_verification_result(
        role, metadata.signed_bytes, metadata.signatures
    )
    return max(0, result.threshold - len(result.signed))


def _delegations(roles: HeadRoles, held: Holders) -> Delegations:
    held.checked(roles.parent)
    keys = {key.keyid: library_key(key) for key in held.keys}
    return Delegations(keys, succinct_roles=_succinct(roles, tuple(keys), held.threshold))


def _succinct(roles: HeadRoles, keyids: Iterable[str], threshold: int = 1) -> SuccinctRoles:
    if roles.bits > MAX_BITS:
        raise bits_refused(roles.bits)
    return SuccinctRoles(list(keyids), threshold, roles.bits, bins_prefix(roles.base_id))


def bits_refused(bits: int) -> RefusedError:
    """The error for more bins than we make."""
    return RefusedError(
        "too_many_bins",
        f"A role with 2 to the power of {bits} bins is more than a registry keeps.",
        hint=f"Split it into at most {1 << MAX_BITS}: `headway keys split`.",
        bits=bits,
    )
