"""A base's heads split into hash bins: small signed repositories, and what a client finds in each.

Made with python-tuf and fixed keys. A case is a story: stage after stage, one device with one store sees the files that
a registry serves then.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from datetime import UTC, datetime

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from form import Case, Json, digest, vectors, without
from securesystemslib.signer import CryptoSigner
from tuf.api.metadata import (
    DelegatedRole,
    Delegations,
    Metadata,
    MetaFile,
    Root,
    Snapshot,
    SuccinctRoles,
    TargetFile,
    Targets,
    Timestamp,
)

from cases.targets import HEAD

EXPIRES = datetime(2030, 1, 1, tzinfo=UTC)
HEADS = "heads-kd"
NAMES = (("topic", 1), ("topic", 2), ("mood", 1))


def _signer(seed: str) -> CryptoSigner:
    return CryptoSigner(Ed25519PrivateKey.from_private_bytes(hashlib.sha256(seed.encode()).digest()))


ROOT, TOP, PUBLISHER, SNAPSHOT, TIMESTAMP, THIEF = map(
    _signer, ("root", "targets", "publisher", "snapshot", "timestamp", "thief")
)


def path_of(name: str, release: int) -> str:
    return f"heads/kd/{name}/{release}/manifest.json"


def _target(name: str, release: int) -> TargetFile:
    facts = {**without(HEAD, "head"), "app": "reader", "base_id": "kd", "name": name, "release": release}
    content = f"manifest of {name}@{release}".encode()
    hashes = {"sha256": hashlib.sha256(content).hexdigest()}
    return TargetFile(len(content), hashes, path_of(name, release), {"custom": {**facts, "head": digest(f"{name}")}})


def _text(signed: Root | Targets | Snapshot | Timestamp, signer: CryptoSigner) -> str:
    metadata = Metadata(signed)
    metadata.sign(signer)
    return metadata.to_bytes().decode()


class Repository:
    """What one registry serves, stage after stage."""

    def __init__(self) -> None:
        root = Root(version=1, expires=EXPIRES, consistent_snapshot=True)
        for role, signer in (("root", ROOT), ("targets", TOP), ("snapshot", SNAPSHOT), ("timestamp", TIMESTAMP)):
            root.add_key(signer.public_key, role)
        self.bootstrap = _text(root, ROOT)
        held = DelegatedRole(HEADS, [PUBLISHER.public_key.keyid], 1, True, paths=["heads/kd/*/*/*"])
        keys = {PUBLISHER.public_key.keyid: PUBLISHER.public_key}
        self.roles: dict[str, tuple[int, str]] = {}
        self._put("targets", Targets(expires=EXPIRES, delegations=Delegations(keys, {HEADS: held})), TOP)
        self.stamp = 0

    def _put(self, role: str, signed: Targets, signer: CryptoSigner = PUBLISHER) -> None:
        signed.version = self.roles.get(role, (0, ""))[0] + 1
        self.roles[role] = (signed.version, _text(signed, signer))

    def put(self, role: str, names: tuple[tuple[str, int], ...], signer: CryptoSigner = PUBLISHER) -> None:
        """A role that lists just these releases."""
        files = {path_of(*name): _target(*name) for name in names}
        self._put(role, Targets(expires=EXPIRES, targets=files), signer)

    def split(self, bits: int) -> SuccinctRoles:
        """All releases in ``2 ** bits`` bins."""
        bins = SuccinctRoles([PUBLISHER.public_key.keyid], 1, bits, "bins-kd")
        keys = {PUBLISHER.public_key.keyid: PUBLISHER.public_key}
        self._put(HEADS, Targets(expires=EXPIRES, delegations=Delegations(keys, succinct_roles=bins)))
        for role in bins.get_roles():
            self.put(role, tuple(name for name in NAMES if bins.get_role_for_target(path_of(*name)) == role))
        return bins

    def stage(
        self, found: str | list[str], listed: str | list[str] | None = None, unlisted: str = "", unserved: str = ""
    ) -> dict[str, Json]:
        """What is served now. ``found`` is what a look-up of every release gives, ``listed`` the whole list: names, or
        the code of the refusal."""
        self.stamp += 1
        meta = {f"{role}.json": MetaFile(version) for role, (version, _) in self.roles.items() if role != unlisted}
        snapshot = _text(Snapshot(version=self.stamp, expires=EXPIRES, meta=meta), SNAPSHOT)
        stamp = Timestamp(version=self.stamp, expires=EXPIRES, snapshot_meta=MetaFile(self.stamp))
        files = {f"{version}.{role}.json": text for role, (version, text) in self.roles.items() if role != unserved}
        files |= {f"{self.stamp}.snapshot.json": snapshot, "timestamp.json": _text(stamp, TIMESTAMP)}
        return {"files": files, "found": found, "listed": found if listed is None else listed}


def _case(comment: str, flag: str, repository: Repository, stages: list[Mapping[str, Json]]) -> Case:
    return {
        "comment": comment,
        "flags": [flag],
        "bootstrap": repository.bootstrap,
        "wanted": [[name, release] for name, release in (*NAMES, ("topic", 3))],
        "stages": stages,
    }


def _stories() -> list[Case]:
    everything = [f"{name}@{release}" for name, release in NAMES]
    cases: list[Case] = []

    def case(comment: str, flag: str, bits: int = 2) -> tuple[Repository, SuccinctRoles, list[Mapping[str, Json]]]:
        repository, stages = Repository(), list[Mapping[str, Json]]()
        cases.append(_case(comment, flag, repository, stages))
        repository.put(HEADS, NAMES)
        stages.append(repository.stage(everything))
        return repository, repository.split(bits), stages

    repository, _, stages = case("one role, four bins, two bins, one role, sixteen bins", "Split")
    stages.append(repository.stage(everything))
    repository.split(1)
    stages.append(repository.stage(everything))
    repository.put(HEADS, NAMES)
    stages.append(repository.stage(everything))
    repository.split(4)
    stages.append(repository.stage(everything))

    repository, bins, stages = case("a bin is not served", "Refused")
    home = bins.get_role_for_target(path_of("topic", 2))
    stages.append(repository.stage("not_served", unserved=home))
    repository, bins, stages = case("a bin is not listed in the snapshot", "Refused")
    stages.append(repository.stage("bad_metadata", unlisted=home))
    repository, bins, stages = case("a bin is signed by another key", "Refused")
    repository.put(home, (("topic", 2),), THIEF)
    stages.append(repository.stage("bad_signature"))

    repository, bins, stages = case("a head stands in a bin that is not its own", "Refused")
    foreign = next(role for role in bins.get_roles() if role != home)
    elsewhere = [name for name in NAMES if name != ("topic", 2)]
    kept = {role: [n for n in elsewhere if bins.get_role_for_target(path_of(*n)) == role] for role in (home, foreign)}
    repository.put(home, tuple(kept[home]))
    repository.put(foreign, (*kept[foreign], ("topic", 2)))
    stages.append(repository.stage([f"{name}@{release}" for name, release in elsewhere], "out_of_scope"))

    repository, bins, stages = case("the snapshot takes a bin back to an older version", "Refused")
    old = repository.roles[home]
    repository.put(home, tuple(n for n in NAMES if bins.get_role_for_target(path_of(*n)) == home))
    stages.append(repository.stage(everything))
    repository.roles[home] = old
    stages.append(repository.stage("rollback"))
    return cases


def build() -> Json:
    """Run by Python's and Swift's trusted client."""
    return vectors(
        "A base's heads in hash bins, before, during and after a split",
        {"Split": "what was found is found again", "Refused": "the last stage is refused, or finds less"},
        _stories(),
    )
