"""A real registry, a real publisher, ``kill -9`` for either in the middle of a large file: it still ends whole."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import httpx2
import pytest

from headway.contract.digests import digest_of, hex_of
from headway.publisher.http import Retries
from headway.publisher.registry import Registry

from .backends import Backend
from .test_process import Process

PATIENT = Retries(attempts=1000, wait_initial_s=0.1, wait_max_s=1.0, timeout_s=240.0)
PUBLISH = """
import signal, sys
from pathlib import Path
from headway.contract.digests import digest_of
from headway.publisher.registry import Registry
url, token, name, far = sys.argv[1:]
file = Path(name)

def told(done):
    if done >= int(far):
        print(done, flush=True)
        signal.pause()

with Registry(url, token, app="reader", resumable_bytes=1) as registry:
    registry.upload_file(digest_of(file.read_bytes()), file.stat().st_size, file, on_sent=told)
"""
"""Sends a file until ``far`` bytes have arrived, says so, and waits for its end."""


@pytest.fixture
def registry(tmp_path: Path, backend: Backend, monkeypatch: pytest.MonkeyPatch) -> Iterator[Process]:
    """A registry process over the backend; parts are as small as the storage allows."""
    settings = backend.settings
    monkeypatch.setenv("HEADWAY_SERVER_UPLOAD_PART_BYTES", str(2**18))
    if not backend.local:
        names = ("database_url", "storage", "s3_bucket", "s3_prefix", "s3_endpoint_url", "s3_access_key_id")
        for name in names:
            monkeypatch.setenv(f"HEADWAY_SERVER_{name.upper()}", str(getattr(settings, name)))
        secret = settings.s3_secret_access_key.get_secret_value()
        monkeypatch.setenv("HEADWAY_SERVER_S3_SECRET_ACCESS_KEY", secret)
    process = Process(tmp_path / "data")
    yield process
    if process.process is not None:
        process.stop(signal.SIGKILL)


@pytest.fixture
def part_bytes(backend: Backend) -> int:
    return 2**18 if backend.local else 5 * 2**20


@pytest.fixture
def data(part_bytes: int) -> bytes:
    return os.urandom(4 * part_bytes + 1000)


@pytest.fixture
def file(tmp_path: Path, data: bytes) -> Path:
    path = tmp_path / "model.bin"
    path.write_bytes(data)
    return path


def publisher(process: Process) -> Registry:
    """A patient publisher of the app ``reader``."""
    url = f"http://127.0.0.1:{process.port}"
    client = Registry(url, process.tokens[0], app="reader", retries=PATIENT, resumable_bytes=1)
    client.create_app()
    return client


def stored(client: httpx2.Client, data: bytes) -> bytes | None:
    """What the public tree holds under the file's digest."""
    answer = client.get(f"/apps/reader/artifacts/{hex_of(digest_of(data))}")
    return answer.content if answer.status_code == 200 else None


def kill_and_restart(process: Process, wait_s: float = 0.0) -> threading.Thread:
    """Kill the registry after ``wait_s``, beside the upload, and start it again on the same port."""

    def run() -> None:
        time.sleep(wait_s)
        process.stop(signal.SIGKILL)
        process.start()

    thread = threading.Thread(target=run)
    thread.start()
    return thread


def test_the_registry_is_killed_in_mid_upload_and_at_its_end(
    registry: Process, file: Path, data: bytes, part_bytes: int
) -> None:
    client = registry.start()
    killers: list[threading.Thread] = []

    def told(done: int) -> None:
        if (not killers and done >= 2 * part_bytes) or (len(killers) == 1 and done >= len(data)):
            killers.append(kill_and_restart(registry, 0.02 * len(killers)))
            killers[0].join()

    with publisher(registry) as sending:
        assert stored(client, data) is None
        assert sending.upload_file(digest_of(data), len(data), file, on_sent=told) is True
        for killer in killers:
            killer.join()
        assert len(killers) == 2
        assert sending.has_artifact(digest_of(data))
        assert stored(client, data) == data
        assert sending.upload_file(digest_of(data), len(data), file) is False


def test_the_publisher_is_killed_in_mid_upload(registry: Process, file: Path, data: bytes, part_bytes: int) -> None:
    client = registry.start()
    with publisher(registry) as again:
        command = [sys.executable, "-c", PUBLISH, again.url, registry.tokens[0], str(file), str(2 * part_bytes)]
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as dying:
            assert dying.stdout is not None
            assert int(dying.stdout.readline()) == 2 * part_bytes
            dying.send_signal(signal.SIGKILL)
        assert stored(client, data) is None
        told: list[int] = []
        assert again.upload_file(digest_of(data), len(data), file, on_sent=told.append) is True
        assert told[0] >= part_bytes
        assert stored(client, data) == data
