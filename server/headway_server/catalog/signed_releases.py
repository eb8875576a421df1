"""What a signed role says about releases must be what the registry examined; then the records follow it."""

from __future__ import annotations

from dataclasses import dataclass

from headway.contract.digests import Digest
from headway.contract.errors import RefusedError
from headway.contract.targets import HeadTarget
from headway.trust.verify import VerifiedRole
from headway_server.ports import Transaction

# What a publisher may change after the first signature; everything else of a release is fixed for ever.
_CHANGEABLE = ("status", "bases", "min_os", "max_os", "min_app_build", "rebase")


@dataclass(frozen=True, slots=True)
class StateChange:
    """A release that signed metadata moved to another state: ``head`` or ``base``, its name and its digest."""

    kind: str
    base_id: str
    subject: str
    digest: Digest
    state: str


def follow_bases(tx: Transaction, app: str, role: VerifiedRole) -> tuple[StateChange, ...]:
    """Take over what the role ``bases`` says; what that changed.

    Raises:
        RefusedError: code ``unregistered_release``.
    """
    changes = []
    for entry, fact in role.bases:
        record = tx.releases.base(app, fact.base_id, fact.version)
        if record is None or record.manifest != entry.digest or _fixed(record.custom) != _fixed(fact.to_json()):
            raise _unregistered(entry.path)
        tx.releases.set_base_state(app, fact.base_id, fact.version, fact.status, fact.to_json())
        if record.state != fact.status:
            subject = f"{fact.base_id}@{fact.version}"
            changes.append(StateChange("base", fact.base_id, subject, record.package, fact.status))
    return tuple(changes)


def follow_heads(tx: Transaction, app: str, role: VerifiedRole) -> tuple[StateChange, ...]:
    """Take over what a role ``heads-…`` says, and mark what left it; what that changed.

    Raises:
        RefusedError: codes ``unregistered_release``, ``unregistered_proof``.
    """
    base_id = role.role.removeprefix("heads-")
    proofs = {(edge.name, edge.release, edge.base): edge.proof_digest for edge in tx.releases.edges(app)}
    listed: set[tuple[str, int]] = set()
    changes = []
    for entry, fact in role.heads:
        record = tx.releases.head(app, base_id, fact.name, fact.release)
        if record is None or record.manifest != entry.digest or _fixed(record.custom) != _fixed(fact.to_json()):
            raise _unregistered(entry.path)
        _proven(fact, proofs, entry.path)
        listed.add((fact.name, fact.release))
        tx.releases.set_head_state(app, base_id, fact.name, fact.release, fact.status, fact.to_json())
        if record.state != fact.status:
            subject = f"{fact.name}@{fact.release}"
            changes.append(StateChange("head", base_id, subject, record.head, fact.status))
    for record in tx.releases.heads(app):
        gone = record.base_id == base_id and (record.name, record.release) not in listed
        if gone and record.state in ("live", "revoked"):
            tx.releases.set_head_state(app, base_id, record.name, record.release, "unlisted", record.custom)
            subject = f"{record.name}@{record.release}"
            changes.append(StateChange("head", base_id, subject, record.head, "unlisted"))
    return tuple(changes)


def _proven(fact: HeadTarget, proofs: dict[tuple[str, int, Digest], Digest], path: str) -> None:
    for edge in fact.bases:
        if proofs.get((fact.name, fact.release, edge.digest)) != edge.proof:
            raise RefusedError(
                "unregistered_proof",
                f"{path} names a proof that the registry has not seen.",
                hint="Register the head with its proofs before signing the role.",
                path=path,
                base=edge.digest,
            )


def _fixed(custom: dict[str, object]) -> dict[str, object]:
    return {key: value for key, value in custom.items() if key not in _CHANGEABLE}


def _unregistered(path: str) -> RefusedError:
    return RefusedError(
        "unregistered_release",
        f"The registry has not examined {path}, or examined another content.",
        hint="Upload the files and register the release first; then sign the role with the facts that were returned.",
        path=path,
    )
