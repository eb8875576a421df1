"""MLflow beside ours, for ``benchmarks/registry.py``: where an alias points, and what publishing 20 MB takes.

MLflow is no dependency of the project. Give the Python of an environment that has it:
``python -m venv build/mlflow && build/mlflow/bin/pip install mlflow==3.17.2``, then
``python benchmarks/registry.py --mlflow build/mlflow/bin/python``.
"""

from __future__ import annotations

import json
import re
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx2

from headway.contract.digests import digest_of

ALIAS = "/api/2.0/mlflow/registered-models/alias?name=bench&alias=stable"
_REQUEST = re.compile(rb"(?:GET|PUT|POST|HEAD|PATCH|DELETE) /[^\r\n ]{0,2000} HTTP/1\.1\r\n")


@dataclass(frozen=True, slots=True)
class Published:
    """What publishing one file took: seconds and memory of the client, then requests and bytes on the wire."""

    seconds: float
    client_mb: float
    requests: int
    sent: int
    received: int


def seed_mlflow(port: int) -> str:
    """A registered model ``bench`` with a version and the alias ``stable``; MLflow's version."""
    with httpx2.Client(base_url=f"http://127.0.0.1:{port}", timeout=60) as client:

        def post(path: str, **body: str) -> Any:
            return client.post(f"/api/2.0/mlflow/{path}", json=body).raise_for_status().json()

        run = post("runs/create", experiment_id="0")["run"]["info"]
        post("registered-models/create", name="bench")
        post("model-versions/create", name="bench", source=f"{run['artifact_uri']}/model", run_id=run["run_id"])
        post("registered-models/alias", name="bench", alias="stable", version="1")
        client.get(ALIAS).raise_for_status()
        return client.get("/version").text.strip()


def publish_headway(port: int, token: str, file: Path) -> Published:
    """Upload a file by our SDK, from a process of its own."""
    return _published(sys.executable, _HEADWAY, port, token, file)


def publish_mlflow(python: Path, port: int, file: Path) -> Published:
    """Log a file, make a version of it and point an alias at it, by MLflow's own client in its own environment."""
    return _published(str(python), _MLFLOW, port, "", file)


def _published(python: str, script: str, port: int, token: str, file: Path) -> Published:
    """Once straight, for time and memory; once more with other bytes through a counter."""
    took = _run(python, script, port, token, file)
    file.write_bytes(file.read_bytes()[::-1])
    with _counter(port) as (counting, count):
        _run(python, script, counting, token, file)
    return Published(took["seconds"], took["mb"], count.requests, count.sent, count.received)


def _run(python: str, script: str, port: int, token: str, file: Path) -> dict[str, float]:
    words = [python, "-c", script, f"http://127.0.0.1:{port}", token, str(file), digest_of(file.read_bytes())]
    done = subprocess.run(words, capture_output=True, text=True, timeout=120)
    if done.returncode != 0:
        raise SystemExit(done.stderr[-2000:])
    found: dict[str, float] = json.loads(done.stdout.strip().splitlines()[-1])
    return found


@dataclass(slots=True)
class _Count:
    requests: int = 0
    sent: int = 0
    received: int = 0
    lock: threading.Lock = field(default_factory=threading.Lock)

    def saw(self, data: bytes, *, up: bool) -> None:
        with self.lock:
            if up:
                self.sent += len(data)
                self.requests += len(_REQUEST.findall(data))
            else:
                self.received += len(data)


@contextmanager
def _counter(port: int) -> Iterator[tuple[int, _Count]]:
    """A relay to ``port`` that counts requests and bytes."""
    count = _Count()
    listener = socket.create_server(("127.0.0.1", 0))
    threading.Thread(target=_accept, args=(listener, port, count), daemon=True).start()
    try:
        yield listener.getsockname()[1], count
    finally:
        listener.close()


def _accept(listener: socket.socket, port: int, count: _Count) -> None:
    while True:
        try:
            client, _ = listener.accept()
        except OSError:
            return
        server = socket.create_connection(("127.0.0.1", port))
        for source, target, up in ((client, server, True), (server, client, False)):
            threading.Thread(target=_relay, args=(source, target, count, up), daemon=True).start()


def _relay(source: socket.socket, target: socket.socket, count: _Count, up: bool) -> None:
    try:
        while data := source.recv(1 << 18):
            count.saw(data, up=up)
            target.sendall(data)
        target.shutdown(socket.SHUT_WR)
    except OSError:
        source.close()
        target.close()


_TOLD = """
print(json.dumps({"seconds": time.perf_counter() - began,
                  "mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e3}))
"""

_HEADWAY = (
    """
import json, resource, sys, time
from pathlib import Path
from headway.publisher.registry import Registry
url, token, file, digest = sys.argv[1:]
with Registry(url, token, app="bench") as registry:
    began = time.perf_counter()
    assert registry.upload_file(digest, Path(file).stat().st_size, Path(file))
"""
    + _TOLD
)

_MLFLOW = (
    """
import json, resource, sys, time
import mlflow
from mlflow import MlflowClient
url, _, file, _ = sys.argv[1:]
client = MlflowClient(url)
began = time.perf_counter()
run = client.create_run("0")
client.log_artifact(run.info.run_id, file)
client.set_terminated(run.info.run_id)
made = client.create_model_version("bench", f"{run.info.artifact_uri}/{file.rsplit('/', 1)[1]}", run.info.run_id)
client.set_registered_model_alias("bench", "stable", made.version)
"""
    + _TOLD
)
