"""Proofs run again, in SQL; see the protocol in :mod:`headway_server.repositories_proofs`."""

from __future__ import annotations

from dataclasses import replace

from sqlalchemy import Connection, insert, select

from headway_server.db import tables as t
from headway_server.db.rows import many, values_of
from headway_server.records import ProofRunRecord


class SqlProofRuns:
    """Proofs run again on request."""

    def __init__(self, connection: Connection) -> None:
        self._c = connection

    def add(self, record: ProofRunRecord) -> ProofRunRecord:
        """Add it; the record with the id that it was given."""
        values = values_of(record, without=("id",))
        given = self._c.execute(insert(t.proof_runs).values(values).returning(t.proof_runs.c.id)).scalar_one()
        return replace(record, id=int(given))

    def all(self, app: str, limit: int = 1000) -> tuple[ProofRunRecord, ...]:
        """The newest ``limit`` runs of an app, newest first."""
        p = t.proof_runs.c
        query = select(t.proof_runs).where(p.app == app).order_by(p.id.desc()).limit(limit)
        return many(self._c, query, ProofRunRecord)

    def of_head(self, app: str, base_id: str, name: str, release: int) -> tuple[ProofRunRecord, ...]:
        """All runs of one head release, newest first."""
        p = t.proof_runs.c
        mine = (p.app == app, p.base_id == base_id, p.name == name, p.release == release)
        return many(self._c, select(t.proof_runs).where(*mine).order_by(p.id.desc()), ProofRunRecord)
