"""The read path without us: nginx with the documented configuration serves devices while the registry is stopped."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

import httpx2
import pytest

from headway.contract.digests import digest_of, hex_of
from headway.trust.client import TrustedClient

from .backends import free_ports
from .conftest import Prepared
from .test_process import Process
from .test_publish import HttpFetcher
from .world import head_files

LOCATIONS = Path(__file__).parents[2] / "docs" / "deployment" / "headway-locations.conf"


@contextmanager
def started(data: Path, registry: int, folder: Path) -> Iterator[httpx2.Client]:
    """nginx with the documented configuration over the public tree in ``data``, before a registry at this port."""
    program = shutil.which("nginx")
    if program is None:
        pytest.skip("nginx is not installed")
    (port,) = free_ports(1)
    locations = LOCATIONS.read_text().replace("/var/lib/headway", str(data))
    assert locations.count("127.0.0.1:8080") == 1
    locations = locations.replace("127.0.0.1:8080", f"127.0.0.1:{registry}")
    user = "user root;" if os.geteuid() == 0 else ""
    config = folder / "nginx.conf"
    config.write_text(
        f"daemon off; {user} pid {folder}/nginx.pid; error_log {folder}/error.log;\n"
        f"events {{}}\nhttp {{ access_log off; client_body_temp_path {folder}/b; proxy_temp_path {folder}/p;\n"
        f"fastcgi_temp_path {folder}/f; uwsgi_temp_path {folder}/u; scgi_temp_path {folder}/s;\n"
        f"proxy_pass_header Server; server {{ listen 127.0.0.1:{port};\n{locations}\n}} }}\n"
    )
    process = subprocess.Popen([program, "-c", config, "-p", folder], stderr=subprocess.DEVNULL)
    try:
        until = time.monotonic() + 60
        while not _listens(port):
            assert process.poll() is None, (folder / "error.log").read_text()
            assert time.monotonic() < until, (folder / "error.log").read_text()
            time.sleep(0.05)
        with httpx2.Client(base_url=f"http://127.0.0.1:{port}", timeout=60.0) as client:
            yield client
    finally:
        process.terminate()
        process.wait(timeout=60)


@pytest.fixture
def nginx(prepared: dict[bool, Prepared], tmp_path: Path) -> Iterator[httpx2.Client]:
    """nginx over the public tree of a published app; no registry runs."""
    data = tmp_path / "data"
    shutil.copytree(prepared[True].folder / "public", data / "public")
    with socket.socket() as nobody:
        nobody.bind(("127.0.0.1", 0))  # it does not listen, and nobody else can
        with started(data, nobody.getsockname()[1], tmp_path) as client:
            yield client


def _listens(port: int) -> bool:
    try:
        socket.create_connection(("127.0.0.1", port), timeout=60).close()
    except OSError:
        return False
    return True


def test_devices_go_on_without_the_registry(
    nginx: httpx2.Client, prepared: dict[bool, Prepared], tmp_path: Path
) -> None:
    world = prepared[True].world
    assert world.files is not None
    client = TrustedClient(
        tmp_path / "device",
        "/apps/reader/metadata",
        "/apps/reader/targets",
        world.files.root,
        HttpFetcher(nginx),
        lambda: datetime.fromtimestamp(world.clock(), UTC),
    )
    client.refresh()
    assert [h.target.release for h in client.heads("kd")] == [1]
    poll = nginx.get("/apps/reader/metadata/timestamp.json")
    assert poll.headers["cache-control"] == "no-cache"
    assert poll.headers["content-type"] == "application/json"
    again = nginx.get("/apps/reader/metadata/timestamp.json", headers={"If-None-Match": poll.headers["etag"]})
    assert again.status_code == 304
    data = head_files("reader/topic/1")["head.mlmodel"]
    path = f"/apps/reader/artifacts/{hex_of(digest_of(data))}"
    assert nginx.get(path).content == data
    assert "immutable" in nginx.get(path).headers["cache-control"]
    assert nginx.get(path, headers={"Range": "bytes=2-4"}).content == data[2:5]
    # Only the public tree is served; the rest belongs to the registry, which is stopped.
    assert nginx.get("/v1/apps").status_code == 502
    assert nginx.get("/apps/.incoming/x").status_code == 502


def test_reports_behind_it_are_taken_in_the_loop(tmp_path: Path) -> None:
    """Whose answer it is shows in its fields: gunicorn names itself, our loop names nobody."""
    process = Process(tmp_path / "data")
    direct = process.start()
    try:
        assert process.process is not None
        bearer = {"Authorization": f"Bearer {process.tokens[0]}"}
        with started(tmp_path / "data", process.port, tmp_path) as nginx:
            made = nginx.post("/v1/apps", json={"app": "reader"}, headers=bearer)
            assert (made.status_code, made.headers["server"]) == (201, "gunicorn")
            for _ in range(3):
                report = nginx.post("/v1/outcomes", json={"app": "reader", "events": []})
                assert (report.status_code, report.json()["accepted"]) == (202, 0)
                assert "server" not in report.headers
    finally:
        direct.close()
        process.stop()
