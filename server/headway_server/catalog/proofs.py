"""Proofs: the publisher's are checked to be about these very files; where we can, we run the golden batch ourselves."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from headway.contract.digests import Digest
from headway.contract.errors import RefusedError
from headway.contract.manifest import Manifest, base_manifest_path
from headway.contract.proof import NotProven, Proof, assess
from headway.contract.targets import HeadTarget
from headway_server.catalog.bases import PACKAGE, refuse_findings
from headway_server.catalog.files import laid_out, read_manifest
from headway_server.ports import Examined, Ports
from headway_server.records import BaseRecord, JsonObject


@dataclass(frozen=True, slots=True)
class Examination:
    """What was found out here about a head: a note, our own proofs by base, and one verdict per base."""

    note: str
    reproofs: dict[Digest, JsonObject]
    verdicts: dict[Digest, str]


def stated_proofs(proofs: Iterable[JsonObject], target: HeadTarget, golden: Digest) -> dict[str, JsonObject]:
    """The publisher's proofs by base, each about this head, this golden batch and this contract, and good enough.

    Raises:
        RefusedError: code ``wrong_proof``; kind ``gate``: ``not_proven``.
    """
    read = {proof.digest: proof for proof in (Proof.from_json(item) for item in proofs)}
    stated: dict[str, JsonObject] = {}
    for edge in target.bases:
        proof = read.get(edge.proof)
        about = None if proof is None else (proof.head, proof.base, proof.golden, proof.contract)
        if proof is None or about != (target.head, edge.digest, golden, target.contract):
            raise RefusedError(
                "wrong_proof",
                "A base is named without a proof for exactly this head, base, golden batch and contract.",
                hint="Prove the head again on that base with `headway prove`, and send that proof.",
                base=edge.digest,
            )
        require_proven(proof, "The publisher's proof")
        stated[edge.digest] = dict(proof.to_json())
    return stated


def require_proven(proof: Proof, whose: str) -> None:
    """Pass, if the proof is good enough.

    Raises:
        RefusedError: code ``not_proven``, kind ``gate``.
    """
    verdict = assess(proof)
    if isinstance(verdict, NotProven):
        raise RefusedError(
            "not_proven",
            f"{whose} is not good enough: {verdict.reasons[0]}.",
            hint="Fit the head again on this base's features; see `headway prove --json` for all figures.",
            kind="gate",
            base=proof.base,
            reasons="; ".join(verdict.reasons),
        )


def examine(
    ports: Ports, app: str, manifest: Manifest, bases: Sequence[BaseRecord], stated: dict[str, JsonObject]
) -> Examination:
    """Validate the head and run its golden batch through every base, where this server can.

    Raises:
        RefusedError: code ``rule_broken``; kind ``gate``: ``not_proven``.
    """
    with laid_out(ports, app, manifest) as root:
        checked = ports.examiner.validate(root / "head.mlmodel")
        refuse_findings(checked.findings)
        reproofs: dict[Digest, JsonObject] = {}
        verdicts: dict[Digest, str] = {}
        for base in bases:
            again = run_again(ports, app, root, base)
            verdicts[base.package] = again.note
            if again.proof is not None:
                require_proven(again.proof, "Our own run of the golden batch")
                reproofs[base.package] = dict(again.proof.to_json())
    return Examination(checked.note, reproofs, verdicts)


def run_again(ports: Ports, app: str, head_root: Path, base: BaseRecord) -> Examined:
    """Run the golden batch of the head laid out in ``head_root`` through a base, in the bounded process.

    Raises:
        HeadwayError: what the files themselves are refused for, or code ``model_timeout``, ``model_memory`` or
            ``model_crash`` where the run had to be stopped.
    """
    with ports.database.read() as tx:
        manifest = read_manifest(tx, app, base_manifest_path(base.base_id, base.version), base.manifest)
    if manifest is None:
        return Examined(ran=False, note="not re-proven here: the base's manifest is gone")
    with laid_out(ports, app, manifest) as base_root:
        examined = ports.examiner.prove(
            base_root / PACKAGE,
            head_root / "head.mlmodel",
            head_root / "golden.safetensors",
            head_root / "labels.json",
        )
    refuse_findings(examined.findings)
    return examined
