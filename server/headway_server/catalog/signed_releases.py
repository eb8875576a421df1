"""What a signed role says about releases must be what the registry examined; then the records follow it."""

from __future__ import annotations

from dataclasses import dataclass

from headway.contract.digests import Digest
from headway.contract.errors import RefusedError
from headway.contract.targets import HeadTarget
from headway.trust.verify import VerifiedHeads, VerifiedRole
from headway_server.ports import Transaction
from headway_server.records import HeadRecord

# What a publisher may change after the first signature; everything else of a release is fixed for ever.
_CHANGEABLE = ("status", "bases", "min_os", "max_os", "min_app_build", "rebase")


@dataclass(frozen=True, slots=True)
class Accepted:
    """A role version that is published. ``waiting_for`` names delegated roles that must follow before it goes out.

    ``heads`` is how many heads the roles of its base list now; None for a role of something else.
    """

    role: str
    version: int
    changed: bool
    waiting_for: tuple[str, ...] = ()
    heads: int | None = None


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


def follow_heads(tx: Transaction, app: str, heads: VerifiedHeads) -> tuple[StateChange, ...]:
    """Take over what signed roles say of a base's heads, and mark what left them; what that changed.

    Raises:
        RefusedError: codes ``unregistered_release``, ``unregistered_proof``.
    """
    base_id = heads.base_id
    changes = []
    for entry, fact in heads.put:
        record = tx.releases.head(app, base_id, fact.name, fact.release)
        if record is None or record.manifest != entry.digest or _fixed(record.custom) != _fixed(fact.to_json()):
            raise _unregistered(entry.path)
        _proven(tx, app, fact, entry.path)
        tx.releases.set_head_state(app, base_id, fact.name, fact.release, fact.status, fact.to_json())
        if record.state != fact.status:
            changes.append(_moved(record, fact.status))
    for path in heads.gone:
        _, _, name, release, _ = path.split("/")
        record = tx.releases.head(app, base_id, name, int(release))
        if record is not None and record.state in ("live", "revoked"):
            tx.releases.set_head_state(app, base_id, name, record.release, "unlisted", record.custom)
            changes.append(_moved(record, "unlisted"))
    return tuple(changes)


def _moved(record: HeadRecord, state: str) -> StateChange:
    return StateChange("head", record.base_id, f"{record.name}@{record.release}", record.head, state)


def _proven(tx: Transaction, app: str, fact: HeadTarget, path: str) -> None:
    known = {(e.release, e.base): e.proof_digest for e in tx.releases.edges(app, fact.name, fact.base_id)}
    for edge in fact.bases:
        if known.get((fact.release, edge.digest)) != edge.proof:
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
