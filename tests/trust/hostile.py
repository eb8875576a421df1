"""One registry, one device, and ways to do them wrong."""

from __future__ import annotations

import json

import pytest

from headway.contract.errors import UntrustedError
from headway.trust.client import TrustedClient
from headway.trust.simulator import RepositorySimulator, seeded_key
from headway.trust.storage import MemoryStorage

from .parts import APP, BASE_ID, NOW, head, manifest

THIEF = seeded_key("thief")
ROLE = "heads-kd"


class World:
    """One registry, one device with its store, one clock."""

    def __init__(self) -> None:
        self.now = NOW
        self.repo = RepositorySimulator(APP, (BASE_ID,), now=lambda: self.now)
        self.storage = MemoryStorage()

    def client(self) -> TrustedClient:
        repo = self.repo
        return TrustedClient(
            None,
            repo.metadata_url,
            repo.targets_url,
            repo.root_bytes,
            repo,
            lambda: self.now,
            storage=self.storage,
        )

    def url(self, name: str) -> str:
        return f"{self.repo.metadata_url}/{name}"

    def serve(self, name: str, data: bytes) -> None:
        self.repo.files[self.url(name)] = data

    def publish_head(self, release: int = 1) -> None:
        self.repo.put_head(head(release), manifest(release))
        self.repo.publish()

    def version(self, role: str) -> int:
        return int(json.loads(self.storage.files[f"{role}.json"])["signed"]["version"])

    def refuses(self, code: str) -> None:
        """The device refuses, keeps every byte it trusted, and still answers from what it had."""
        before = {n: d for n, d in self.storage.files.items() if n != "timestamp.etag"}
        with pytest.raises(UntrustedError) as caught:
            self.client().heads(BASE_ID)
        assert caught.value.code == code
        assert caught.value.hint
        stored = {n: d for n, d in self.storage.files.items() if n in before}
        changed = {n for n in before if stored.get(n) != before[n]}
        assert changed <= {"timestamp.json", "snapshot.json", "targets.json"}
        assert f"{ROLE}.json" not in changed
