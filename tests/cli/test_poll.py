"""``headway poll``: its exit code says what the caller can do about a poll that failed."""

from __future__ import annotations

from pathlib import Path

import pytest

from headway.cli.main import run
from headway.device.bundle import AppConfig, write_bundle
from headway.trust.simulator import RepositorySimulator

MODELS = Path(__file__).parents[2] / "ios_fixtures" / "models"


def poll(folder: Path, root_bytes: bytes) -> int:
    # Port 9 (discard) on loopback: nothing listens there, so a poll that gets as far as the network is refused.
    config = AppConfig.for_registry("http://127.0.0.1:9", "demo", "stable", "kdconv-mobilebert", 1, {"topic": 1})
    write_bundle(folder / "app", config, root_bytes, MODELS / "base", {"topic": MODELS / "heads" / "topic-1"})
    return run(["poll", "--bundle", str(folder / "app"), "--store", str(folder / "store")])


def test_an_embedded_root_that_is_none_cannot_be_trusted(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert poll(tmp_path, b"{}") == 3
    assert "Error [" in capsys.readouterr().err


def test_a_registry_that_is_away_may_be_tried_again(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert poll(tmp_path, RepositorySimulator("demo", ["kdconv-mobilebert"]).root_bytes) == 7
    assert "Error [unreachable]" in capsys.readouterr().err
