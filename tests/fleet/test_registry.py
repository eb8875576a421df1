"""The registry of a rehearsal: a port that somebody else takes in the last moment is no failure, a wish is a wish."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from pathlib import Path

import httpx2
import pytest

from headway.contract.errors import TransferError
from headway.fleet import registry
from headway.fleet.registry import RegistryProcess

pytest.importorskip("gunicorn", reason="needs the extra 'server'")


@pytest.fixture
def taken() -> Iterator[int]:
    """A port that somebody listens on."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        yield listening.getsockname()[1]


def test_another_port_is_taken(taken: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    chosen, real = [taken], registry._free_port
    monkeypatch.setattr(registry, "_free_port", lambda: chosen.pop() if chosen else real())
    with RegistryProcess(tmp_path / "data") as process:
        assert process.port != taken
        assert httpx2.get(f"{process.url}/healthz", timeout=60).status_code == 200
        assert process.token.startswith("hw_")


def test_a_port_that_was_asked_for_is_the_only_one(taken: int, tmp_path: Path) -> None:
    with pytest.raises(TransferError) as caught, RegistryProcess(tmp_path / "data", port=taken):
        pass
    assert caught.value.code == "registry_did_not_start"
    assert "cannot_listen" in caught.value.data["log"]
