"""What will be signed about a release: the facts of a base or head, derived from its files and proofs, never typed."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from headway.contract.digests import Digest, parse_digest
from headway.contract.errors import RefusedError
from headway.contract.features import FeatureContract
from headway.contract.manifest import Manifest
from headway.contract.proof import Proof
from headway.contract.targets import BaseTarget, HeadTarget, ProvenBase
from headway.contract.versions import OsVersion
from headway.publisher.bundle import PACKAGE, Release

NEWEST = "newest"
Json = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class HeadOptions:
    """What a person decides about a head release.

    ``parent`` is the digest of the head it was made from, None for none, or ``"newest"``: the newest release below it.
    ``rebase`` says what a personal head does when it meets this release.
    """

    parent: Digest | str | None = NEWEST
    min_os: OsVersion = (15, 0, 0)
    max_os: OsVersion | None = None
    min_app_build: int = 0
    rebase: str = "replay"


def base_target(manifest: Manifest, release: Release) -> BaseTarget:
    """The signed facts of a base.

    Raises:
        RefusedError: code ``malformed``; ``contract.json``.
    """
    contract = FeatureContract.from_bytes(release.file("contract.json").source.read_bytes())
    return BaseTarget(
        app=manifest.app,
        base_id=manifest.id,
        version=manifest.version,
        package=manifest.package_digest(PACKAGE),
        contract=contract.digest,
        bytes=manifest.total_bytes,
        status="live",
    )


def head_target(
    manifest: Manifest,
    release: Release,
    proofs: Sequence[Proof],
    published: Iterable[Json],
    *,
    base_id: str,
    options: HeadOptions,
) -> HeadTarget:
    """The signed facts of a head; ``published`` are the registry's records of its name.

    Raises:
        RefusedError: codes ``no_base``, ``mixed_contracts``, ``malformed``.
    """
    contracts = {proof.contract for proof in proofs}
    if len(contracts) != 1:
        raise RefusedError(
            "mixed_contracts" if contracts else "no_base",
            "The bases have different feature contracts." if contracts else "The head is proven on no base.",
            hint="Name at least one base folder; bases of one head share one feature contract.",
        )
    number = int(manifest.version)
    target = HeadTarget(
        app=manifest.app,
        base_id=base_id,
        name=manifest.id,
        release=number,
        head=manifest.file("head.mlmodel").digest,
        parent=_parent(options.parent, published, base_id, number),
        bases=tuple(ProvenBase(proof.base, proof.digest) for proof in proofs),
        contract=contracts.pop(),
        labels=manifest.file("labels.json").digest,
        num_classes=len(_labels(release)),
        min_os=options.min_os,
        max_os=options.max_os,
        min_app_build=options.min_app_build,
        status="live",
        rebase=options.rebase,
        bytes=manifest.total_bytes,
    )
    return HeadTarget.from_json(target.to_json())


def newest_release(published: Iterable[Json], base_id: str, release: Release) -> int:
    """The number to publish under when none is given: the next one, or the newest again if it is this very head."""
    records = [record for record in published if record.get("base_id") == base_id]
    newest = max(records, key=lambda record: int(record["release"]), default=None)
    if newest is None:
        return 1
    same_head = newest.get("head") == release.file("head.mlmodel").digest
    same_labels = _signed_labels(newest) == release.file("labels.json").digest
    return int(newest["release"]) + (0 if same_head and same_labels else 1)


def materials_of_head(target: HeadTarget) -> dict[str, Digest]:
    """What a head was made from, as its facts tell: the bases and the parent."""
    materials = {f"base/{n}": edge.digest for n, edge in enumerate(target.bases)}
    return materials if target.parent is None else {**materials, "parent": target.parent}


def digests_in(card: object, path: str = "card") -> dict[str, Digest]:
    """Every digest that a card names, by where it stands: data, configuration, models, whatever it calls them."""
    found: dict[str, Digest] = {}
    if isinstance(card, dict):
        for key, value in card.items():
            if isinstance(key, str) and key.isascii() and key.isprintable():
                found |= digests_in(value, f"{path}.{key}")
    elif isinstance(card, list):
        for index, value in enumerate(card):
            found |= digests_in(value, f"{path}[{index}]")
    elif isinstance(card, str) and card.startswith("sha256:"):
        found[path] = parse_digest(card, document="card", path=path)
    return found


def _parent(wanted: Digest | str | None, published: Iterable[Json], base_id: str, number: int) -> Digest | None:
    if wanted is None:
        return None
    if wanted != NEWEST:
        return parse_digest(wanted, document="head options", path="parent")
    older = [r for r in published if r.get("base_id") == base_id and int(r["release"]) < number]
    if not older:
        return None
    return parse_digest(max(older, key=lambda record: int(record["release"])).get("head"))


def _signed_labels(record: Json) -> object:
    custom = record.get("custom")
    return custom.get("labels") if isinstance(custom, dict) else None


def _labels(release: Release) -> list[Any]:
    try:
        labels = json.loads(release.file("labels.json").source.read_bytes().decode("utf-8"))
    except ValueError:
        labels = None
    if not isinstance(labels, list):
        raise RefusedError(
            "malformed", "labels.json is not a JSON list.", hint="Write the labels in the order of the head's outputs."
        )
    return labels
