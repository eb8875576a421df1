"""What the use cases ask of the memory of proofs that were run again; see :mod:`headway_server.repositories`."""

from __future__ import annotations

from typing import Protocol

from headway_server.records import ProofRunRecord


class ProofRuns(Protocol):
    """Proofs run again on request: only ever added to."""

    def add(self, record: ProofRunRecord) -> ProofRunRecord:
        """Add it; the record with the id that it was given."""

    def all(self, app: str, limit: int = 1000) -> tuple[ProofRunRecord, ...]:
        """The newest ``limit`` runs of an app, newest first."""

    def of_head(self, app: str, base_id: str, name: str, release: int) -> tuple[ProofRunRecord, ...]:
        """All runs of one head release, newest first."""
