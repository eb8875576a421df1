"""Records as the JSON that the API answers. Nothing secret is ever in it."""

from __future__ import annotations

from typing import Any

from headway_server.records import (
    AuditRecord,
    BaseRecord,
    DecisionRecord,
    EdgeRecord,
    HeadRecord,
    ProofRunRecord,
    RolloutRecord,
    TokenRecord,
)


def base_json(record: BaseRecord) -> dict[str, Any]:
    """A base version."""
    return {
        "base_id": record.base_id,
        "version": record.version,
        "package": record.package,
        "contract": record.contract,
        "feature_contract": record.contract_json,
        "manifest": record.manifest,
        "bytes": record.bytes,
        "state": record.state,
        "checked": record.checked,
        "custom": record.custom,
        "provenance": record.provenance,
        "created_at": record.created_at,
    }


def head_json(record: HeadRecord, recalled_on: tuple[str, ...] = ()) -> dict[str, Any]:
    """A head release; ``state`` is what signed metadata says, ``recalled_on`` the channels that recall it."""
    return {
        "base_id": record.base_id,
        "name": record.name,
        "release": record.release,
        "head": record.head,
        "parent": record.parent,
        "contract": record.contract,
        "labels": list(record.label_names),
        "manifest": record.manifest,
        "bytes": record.bytes,
        "state": record.state,
        "recalled_on": list(recalled_on),
        "checked": record.checked,
        "custom": record.custom,
        "provenance": record.provenance,
        "created_at": record.created_at,
    }


def edge_json(record: EdgeRecord) -> dict[str, Any]:
    """A head→base edge with its evidence; ``reproof`` is null where this server could not run it."""
    return {
        "base_id": record.base_id,
        "name": record.name,
        "release": record.release,
        "base": record.base,
        "proof_digest": record.proof_digest,
        "proof": record.proof,
        "reproof": record.reproof,
        "verdict": record.verdict,
        "created_at": record.created_at,
    }


def proof_run_json(record: ProofRunRecord) -> dict[str, Any]:
    """A proof that was run again."""
    return {
        "id": record.id,
        "base_id": record.base_id,
        "name": record.name,
        "release": record.release,
        "base": record.base,
        "at": record.at,
        "actor": record.actor,
        "result": record.result,
        "note": record.note,
        "proof": record.proof,
    }


def rollout_json(record: RolloutRecord) -> dict[str, Any]:
    """A rollout."""
    return {
        "id": record.id,
        "channel": record.channel,
        "base_id": record.base_id,
        "name": record.name,
        "release": record.release,
        "head": record.head,
        "state": record.state,
        "held_by": record.held_by,
        "permyriad": record.permyriad,
        "salt": record.salt,
        "pins": list(record.pins),
        "excludes": list(record.excludes),
        "schedule": list(record.schedule),
        "policy": record.policy,
        "stage": record.stage,
        "stage_started_at": record.stage_started_at,
        "created_at": record.created_at,
        "updated_at": record.updated_at,
    }


def decision_json(record: DecisionRecord) -> dict[str, Any]:
    """A logged decision with its inputs."""
    return {
        "at": record.at,
        "action": record.action,
        "actor": record.actor,
        "reason": record.reason,
        "inputs": record.inputs,
    }


def token_json(record: TokenRecord) -> dict[str, Any]:
    """A token, without anything that could be used."""
    return {
        "id": record.id,
        "app": record.app,
        "scopes": list(record.scopes),
        "note": record.note,
        "created_at": record.created_at,
        "expires_at": record.expires_at,
        "revoked_at": record.revoked_at,
        "last_used_at": record.last_used_at,
    }


def audit_json(record: AuditRecord) -> dict[str, Any]:
    """An audit event."""
    return {
        "id": record.id,
        "at": record.at,
        "actor": record.actor,
        "action": record.action,
        "subject": record.subject,
        "request": record.request,
        "data": record.data,
    }
