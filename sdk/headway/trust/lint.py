"""What a holder of a key may say: the lint of our own roles, beyond what TUF itself checks.

Generic TUF lets a role list any file and any facts. Here each role has one shape, so that a device never meets a
surprise, and a release once signed stays what it is.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import replace

from tuf.api.metadata import Key, Root, Targets

from headway.contract.digests import canonical_json, digest_of, hex_of, parse_digest
from headway.contract.errors import RefusedError
from headway.contract.manifest import base_manifest_path, head_manifest_path
from headway.contract.targets import BaseTarget, HeadTarget
from headway.trust.bins import MAX_BITS, HeadRoles, bins_prefix, bits_refused
from headway.trust.online import CHANNELS, SNAPSHOT, TIMESTAMP
from headway.trust.repository import paths_of
from headway.trust.roles import BASES, MAX_LIVE_RELEASES, TargetEntry, surplus_heads

MAX_REVOKED_RELEASES = 50
Fact = BaseTarget | HeadTarget


def lint_root(root: Root) -> None:
    """Refuse a root with foreign keys, an online key in two roles, or without consistent snapshots.

    Raises:
        RefusedError: codes ``foreign_key``, ``shared_online_key``, ``malformed_root``.
    """
    lint_keys(root.keys)
    if root.consistent_snapshot is not True:
        raise RefusedError(
            "malformed_root",
            "The root must set consistent_snapshot.",
            hint="Create the trust files with `headway keys create`.",
        )
    held = Counter(keyid for role in root.roles.values() for keyid in set(role.keyids))
    online = [*root.roles[SNAPSHOT].keyids, *root.roles[TIMESTAMP].keyids]
    if any(held[keyid] > 1 for keyid in online):
        raise RefusedError(
            "shared_online_key",
            "An online key holds more than one role.",
            hint="Give snapshot and timestamp a key of their own each.",
        )


def lint_keys(keys: dict[str, Key]) -> None:
    """Refuse keys that are not Ed25519, or are listed under an id that is not their own (one key, two votes).

    Raises:
        RefusedError: code ``foreign_key``.
    """
    for keyid, key in keys.items():
        content = {"keytype": key.keytype, "scheme": key.scheme, "keyval": dict(key.keyval)}
        if (key.keytype, key.scheme) != ("ed25519", "ed25519") or keyid != hex_of(
            digest_of(canonical_json(content, document="key"))
        ):
            raise RefusedError(
                "foreign_key",
                f"The key {keyid[:12]}… is not an Ed25519 key under its own id.",
                hint="Use keys made by `headway keys create`.",
            )


def lint_delegations(targets: Targets) -> None:
    """Refuse a top-level targets role that lists files, or delegates anything but our roles in our shape.

    Raises:
        RefusedError: codes ``out_of_scope``, ``unknown_role``, ``foreign_key``.
    """
    roles = targets.delegations.roles if targets.delegations else None
    if targets.targets or not roles or not {BASES, CHANNELS} <= set(roles):
        raise RefusedError(
            "out_of_scope",
            "The role targets must list no files and delegate bases and channels.",
            hint="Create or change it with `headway keys`.",
            role="targets",
        )
    for name, role in roles.items():
        shape = (tuple(role.paths or ()), role.terminating, role.path_hash_prefixes)
        if shape != (paths_of(name), name.startswith("heads-"), None):
            raise RefusedError(
                "out_of_scope",
                f"The delegation of {name} has other paths than its role may have.",
                hint="Create or change it with `headway keys delegate`.",
                role=name,
            )
    assert targets.delegations is not None
    lint_keys(targets.delegations.keys)


def lint_leaf(role: str, targets: Targets) -> None:
    """Refuse a publisher's role that delegates further: who may sign is for the holders of targets to say.

    Raises:
        RefusedError: code ``out_of_scope``.
    """
    if targets.delegations is not None:
        raise RefusedError(
            "out_of_scope",
            f"The role {role} may not delegate to others.",
            hint="Let the holders of targets delegate: `headway keys delegate` or `headway keys rotate`.",
            role=role,
        )


def lint_heads_parent(roles: HeadRoles, heads: Targets, delegator: Targets) -> None:
    """Refuse a role ``heads-…`` that delegates otherwise than to its own bins, or lists files beside them.

    The bins' keys must be among those that ``delegator``, the top-level targets, gives the role, and no fewer of them.

    Raises:
        RefusedError: codes ``out_of_scope``, ``foreign_key``, ``too_many_bins``.
    """
    if heads.delegations is None:
        return
    succinct, may = heads.delegations.succinct_roles, delegator.get_delegated_role(roles.parent)
    if (
        succinct is None
        or heads.targets
        or succinct.name_prefix != bins_prefix(roles.base_id)
        or set(heads.delegations.keys) != set(succinct.keyids)
        or not set(succinct.keyids) <= set(may.keyids)
        or not may.threshold <= succinct.threshold <= len(succinct.keyids)
    ):
        raise RefusedError(
            "out_of_scope",
            f"The role {roles.parent} may delegate to its own bins alone, under its own keys, and lists nothing then.",
            hint="Split it with `headway keys split`; change keys with `headway keys rotate`.",
            role=roles.parent,
        )
    if succinct.bit_length > MAX_BITS:
        raise bits_refused(succinct.bit_length)
    lint_keys(heads.delegations.keys)


def lint_bases(
    new: Sequence[TargetEntry], current: Sequence[TargetEntry], app: str
) -> tuple[tuple[TargetEntry, BaseTarget], ...]:
    """Read the signed facts of every base and refuse what the role may not say.

    Raises:
        RefusedError: codes ``malformed``, ``out_of_scope``, ``wrong_app``, ``immutable_release``, ``deleted_release``.
    """
    listed = []
    for entry in new:
        fact = BaseTarget.from_json(entry.custom)
        _in_scope(BASES, entry, base_manifest_path(fact.base_id, fact.version), fact, app)
        listed.append((entry, fact))
    _unchanged(BASES, listed, current)
    _nothing_deleted(BASES, new, current, ())
    return tuple(listed)


def read_heads(
    roles: HeadRoles, role: str, new: Iterable[TargetEntry], app: str
) -> tuple[tuple[TargetEntry, HeadTarget], ...]:
    """The signed facts of the heads in one role; each must be in its place.

    Raises:
        RefusedError: codes ``malformed``, ``out_of_scope`` (also in another bin than its own), ``wrong_app``.
    """
    listed = []
    for entry in new:
        fact = HeadTarget.from_json(entry.custom)
        _in_scope(role, entry, head_manifest_path(roles.base_id, fact.name, fact.release), fact, app)
        if fact.base_id != roles.base_id or roles.home(entry.path) != role:
            raise _out_of_scope(role, entry.path)
        listed.append((entry, fact))
    return tuple(listed)


def lint_heads(
    role: str,
    new: Sequence[tuple[TargetEntry, HeadTarget]],
    current: Sequence[TargetEntry],
    beside: Iterable[HeadTarget] = (),
) -> None:
    """Refuse what nobody may say of heads, over all roles that change: ``beside`` stand in bins that do not.

    Raises:
        RefusedError: codes ``too_many_live``, ``immutable_release``, ``deleted_release``.
    """
    _unchanged(role, new, current)
    heads = [*(fact for _, fact in new), *beside]
    _few_enough(role, heads)
    _nothing_deleted(role, [entry for entry, _ in new], current, heads)


def _in_scope(role: str, entry: TargetEntry, path: str, fact: Fact, app: str) -> None:
    parse_digest(entry.digest, document=f"role {role}", path=entry.path)
    if path != entry.path:
        raise _out_of_scope(role, entry.path)
    if fact.app != app:
        raise RefusedError(
            "wrong_app",
            f"{entry.path} was signed for the app {fact.app}, not {app}.",
            hint="Publish it to its own app; one repository serves one app.",
            role=role,
        )


def _unchanged(role: str, listed: Iterable[tuple[TargetEntry, Fact]], current: Iterable[TargetEntry]) -> None:
    before = {entry.path: entry for entry in current}
    for entry, fact in listed:
        if entry.path in before:
            _immutable(role, before[entry.path], entry, fact)


def _out_of_scope(role: str, path: str) -> RefusedError:
    return RefusedError(
        "out_of_scope",
        f"The role {role} may not sign {path[:200]}.",
        hint="Sign it with the role that owns the path; heads go under their own base.",
        role=role,
        path=path[:200],
    )


def _immutable(role: str, before: TargetEntry, after: TargetEntry, fact: Fact) -> None:
    old = _fact_of(role, before)
    revived = old.status == "revoked" and fact.status == "live"
    same_bytes = (before.length, before.digest) == (after.length, after.digest)
    if revived or not same_bytes or _identity(old) != _identity(fact):
        raise RefusedError(
            "immutable_release",
            f"{after.path} is already published and would change.",
            hint="Publish the change under a new release number; a revoked release never returns.",
            kind="conflict",
            role=role,
            path=after.path,
        )


def _identity(fact: Fact) -> Fact:
    """``fact`` without what a publisher may change later: status, proven bases, system limits, rebase policy."""
    if isinstance(fact, BaseTarget):
        return replace(fact, status="live")
    return replace(fact, status="live", bases=(), min_os=(0, 0, 0), max_os=None, min_app_build=0, rebase="replay")


def _few_enough(role: str, heads: Iterable[HeadTarget]) -> None:
    heads = tuple(heads)
    surplus = surplus_heads(heads)
    revoked = Counter(head.name for head in heads if head.status == "revoked")
    if surplus or any(count > MAX_REVOKED_RELEASES for count in revoked.values()):
        raise RefusedError(
            "too_many_live",
            f"The role {role} lists more than {MAX_LIVE_RELEASES} live (or {MAX_REVOKED_RELEASES} revoked) "
            "releases of one name.",
            hint="Drop the oldest; the registry keeps their history.",
            role=role,
        )


def _nothing_deleted(
    role: str, new: Sequence[TargetEntry], current: Sequence[TargetEntry], heads: Sequence[HeadTarget]
) -> None:
    """A live release leaves only when newer ones push it out: deleting is no way to withdraw one."""
    kept = {entry.path for entry in new}
    for entry in current:
        if entry.path in kept:
            continue
        old = _fact_of(role, entry)
        pushed_out = isinstance(old, HeadTarget) and (
            old.status == "revoked"
            or sum(h.name == old.name and h.release > old.release for h in heads) >= MAX_LIVE_RELEASES
        )
        if not pushed_out:
            raise RefusedError(
                "deleted_release",
                f"{entry.path} would disappear.",
                hint="Revoke it (status: revoked), or recall it in the channel; plain deletion tells devices nothing.",
                role=role,
                path=entry.path,
            )


def _fact_of(role: str, entry: TargetEntry) -> Fact:
    return BaseTarget.from_json(entry.custom) if role == BASES else HeadTarget.from_json(entry.custom)
