"""The servers that ``benchmarks/registry.py`` starts: ours, nginx, PostgreSQL, MLflow."""

from __future__ import annotations

import os
import pwd
import re
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from registry_load import family

ROOT = Path(__file__).resolve().parents[1]
GENEROUS = {
    "HEADWAY_SERVER_OUTCOMES_BURST": "1000000000",
    "HEADWAY_SERVER_OUTCOMES_PER_S": "1000000",
    "HEADWAY_SERVER_TRUSTED_PROXIES": "0",
}


@dataclass(frozen=True, slots=True)
class Running:
    """A server: its port, its processes, and the admin token where it is a registry of ours."""

    port: int
    pids: list[int]
    token: str = ""


def free_port() -> int:
    """A free TCP port."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def wait_for(port: int, process: subprocess.Popen[bytes], timeout_s: float = 240.0) -> None:
    """Wait until something listens."""
    until = time.monotonic() + timeout_s
    while time.monotonic() < until and process.poll() is None:
        try:
            socket.create_connection(("127.0.0.1", port), timeout=1).close()
        except OSError:
            time.sleep(0.1)
        else:
            return
    raise SystemExit(f"{process.args!r} did not start")


@contextmanager
def _running(command: Sequence[object], port: int, log: Path, **how: object) -> Iterator[Running]:
    with log.open("wb") as out:
        process = subprocess.Popen([str(part) for part in command], stdout=out, stderr=out, **how)  # type: ignore[call-overload]
    try:
        wait_for(port, process)
        # A worker may still be starting behind a socket that listens already.
        time.sleep(1.0)
        yield Running(port, family(process.pid))
    finally:
        process.send_signal(signal.SIGTERM)
        try:
            process.wait(timeout=30)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


@contextmanager
def registry(data: Path, **settings: str) -> Iterator[Running]:
    """Our server over ``data``; ``settings`` as ``HEADWAY_SERVER_*`` without the prefix."""
    port, log = free_port(), data.with_suffix(".log")
    given = {f"HEADWAY_SERVER_{name.upper()}": value for name, value in settings.items()}
    command = [sys.executable, "-c", "from headway.cli.main import main; main()", "server", "run"]
    command += ["--data-dir", str(data), "--port", str(port)]
    with _running(command, port, log, env={**os.environ, **GENEROUS, **given}) as found:
        token = re.search(r"hw_live_\S+", log.read_text())
        yield Running(port, found.pids, token.group() if token else "")


@contextmanager
def nginx(public: Path, folder: Path) -> Iterator[Running | None]:
    """nginx with one worker over the same tree; None where it is not installed."""
    program = shutil.which("nginx")
    if program is None:
        yield None
        return
    port = free_port()
    user = "user root;" if os.geteuid() == 0 else ""
    config = folder / "nginx.conf"
    config.write_text(
        f"daemon off; worker_processes 1; pid {folder}/nginx.pid; error_log {folder}/error.log; {user}\n"
        "events { worker_connections 1024; }\n"
        f"http {{ access_log off; sendfile on; keepalive_requests 1000000; server {{ listen 127.0.0.1:{port}; "
        f"root {public}; location / {{ add_header Cache-Control no-cache; }} }} }}\n"
    )
    with _running([program, "-c", config, "-p", folder], port, folder / "nginx.log") as found:
        yield found


@contextmanager
def postgres(folder: Path) -> Iterator[tuple[str, list[int]] | None]:
    """A PostgreSQL cluster with its own defaults (it does wait for the disk): a URL; None where it is not installed."""
    programs = _postgres_programs()
    if programs is None:
        yield None
        return
    port, cluster = free_port(), folder / "pg"
    cluster.mkdir()
    how: Mapping[str, object] = {"cwd": "/"}
    if os.geteuid() == 0:
        owner = pwd.getpwnam("postgres")
        os.chown(cluster, owner.pw_uid, owner.pw_gid)
        for parent in (folder, *folder.parents):
            if not parent.stat().st_mode & 0o001:
                parent.chmod(parent.stat().st_mode | 0o011)
        how = {**how, "user": owner.pw_uid}
    subprocess.run(
        [programs / "initdb", "-D", cluster, "-U", "postgres", "-A", "trust", "-E", "UTF8"],
        check=True,
        capture_output=True,
        **how,  # type: ignore[call-overload]
    )
    command = [programs / "postgres", "-D", cluster, "-p", port, "-h", "127.0.0.1", "-k", cluster]
    with _running(command, port, folder / "pg.log", **how) as found:
        yield f"postgresql+psycopg://postgres@127.0.0.1:{port}/postgres", found.pids


def _postgres_programs() -> Path | None:
    tool = shutil.which("initdb")
    found = [Path(tool)] if tool else sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"))
    return found[-1].resolve().parent if found else None


@contextmanager
def mlflow(python: Path, folder: Path) -> Iterator[Running]:
    """MLflow's tracking server with one worker on SQLite and a folder, from the environment of ``python``."""
    port = free_port()
    folder.mkdir()
    command = [python, "-m", "mlflow", "server", "--host", "127.0.0.1", "--port", port, "--workers", "1"]
    command += ["--backend-store-uri", f"sqlite:///{folder}/mlflow.db", "--artifacts-destination", folder / "artifacts"]
    environment = {**os.environ, "MLFLOW_DISABLE_TELEMETRY": "true", "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false"}
    with _running(command, port, folder / "log", env=environment, cwd=folder) as found:
        yield found
