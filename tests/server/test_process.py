"""The real thing: ``headway server run`` as a process, on a real port, stopped and killed."""

from __future__ import annotations

import json
import os
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import httpx2
import pytest

from headway.contract.digests import digest_of, hex_of
from headway.trust.roles import sign_bases

from .backends import free_ports
from .world import PublisherWorld

RUN = [sys.executable, "-c", "from headway.cli.main import main; main()", "server", "run"]


class Process:
    """A server process over a data folder."""

    def __init__(self, data: Path) -> None:
        self.data = data
        (self.port,) = free_ports(1)
        self.log = data.with_suffix(".log")
        self.process: subprocess.Popen[bytes] | None = None

    def start(self) -> httpx2.Client:
        command = [*RUN, "--data-dir", str(self.data), "--port", str(self.port)]
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(command, stdout=log, stderr=log, start_new_session=True)
        client = httpx2.Client(base_url=f"http://127.0.0.1:{self.port}", timeout=60.0)
        until = time.monotonic() + 120
        while time.monotonic() < until:
            try:
                if client.get("/healthz").status_code == 200:
                    return client
            except httpx2.TransportError:
                assert self.process.poll() is None, self.log.read_text()
            time.sleep(0.1)
        raise AssertionError(self.log.read_text())

    def wait_for_upload(self) -> None:
        """Return once the server has begun to take a file."""
        incoming, until = self.data / "public" / ".incoming", time.monotonic() + 60
        while not any(path.is_file() for path in incoming.iterdir()):
            assert time.monotonic() < until, self.log.read_text()
            time.sleep(0.01)

    def stop(self, how: signal.Signals = signal.SIGTERM) -> int:
        assert self.process is not None
        if how == signal.SIGKILL:
            os.killpg(self.process.pid, how)
        else:
            self.process.send_signal(how)
        code = self.process.wait(timeout=120)
        self.process = None
        return code

    @property
    def tokens(self) -> list[str]:
        return re.findall(r"hw_live_[0-9a-f]{16}_[0-9a-f]{64}", self.log.read_text())


@pytest.fixture
def process(tmp_path: Path) -> Iterator[Process]:
    made = Process(tmp_path / "data")
    yield made
    if made.process is not None:
        made.stop(signal.SIGKILL)


def test_a_server_lives_dies_and_lives_again(process: Process) -> None:
    client = process.start()
    (token,) = process.tokens
    world = PublisherWorld(client, token, "reader", lambda: int(time.time()))
    assert world.establish().status_code == 201
    poll = client.get("/apps/reader/metadata/timestamp.json")
    again = client.get("/apps/reader/metadata/timestamp.json", headers={"If-None-Match": poll.headers["etag"]})
    assert (poll.status_code, again.status_code, again.content) == (200, 304, b"")

    # Half an upload, then kill -9: nothing of it is visible, and sending it again works.
    data = os.urandom(3_000_000)
    path = f"/artifacts/{digest_of(data)}"
    head = (
        f"PUT /v1/apps/reader{path} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {token}\r\n"
        f"Content-Length: {len(data)}\r\n\r\n"
    )
    with socket.create_connection(("127.0.0.1", process.port)) as half:
        half.sendall(head.encode() + data[:1_500_000])
        process.wait_for_upload()
        process.stop(signal.SIGKILL)
    public = process.data / "public" / "apps" / "reader"
    assert not (public / "artifacts" / hex_of(digest_of(data))).exists()

    world.client = process.start()
    assert len(process.tokens) == 1  # the token is made, and shown, once
    assert world.call("HEAD", path).status_code == 404
    assert world.upload(data).status_code == 201
    assert world.client.get(f"/apps/reader/artifacts/{hex_of(digest_of(data))}").content == data
    renewed = sign_bases(world.role("bases"), (), [world.publisher], now=world.now)
    assert world.post_role("bases", renewed).status_code == 200
    assert (public / "metadata" / "timestamp.json").read_bytes() != poll.content
    assert process.stop() == 0
    assert token.split("_")[3] not in re.sub(r"Admin token.*", "", process.log.read_text())


def test_commands(tmp_path: Path) -> None:
    """Every command of ``headway server`` does its part on a fresh folder."""
    from typer.testing import CliRunner

    from headway.cli.server import app

    runner, data = CliRunner(), ["--data-dir", str(tmp_path / "data")]

    def run(*arguments: str, code: int = 0) -> str:
        result = runner.invoke(app, [*arguments, *data], catch_exceptions=False)
        assert result.exit_code == code, result.output
        return result.output

    assert "There is no registry" in run("doctor", code=1)
    for command in (["tick"], ["gc"], ["create-token", "--scope", "read"]):
        result = runner.invoke(app, [*command, *data])
        assert getattr(result.exception, "code", None) == "no_registry"
    assert not (tmp_path / "data").exists()  # a slip in a path makes nothing
    run("migrate")
    assert re.fullmatch(r"hw_live_[0-9a-f]{16}_[0-9a-f]{64}", run("create-token", "--scope", "read").strip())
    (token,) = json.loads(run("list-tokens", "--json"))["tokens"]
    assert (token["scopes"], token["app"], token["revoked_at"]) == (["read"], None, None)
    run("revoke-token", token["id"])
    assert token["id"] in run("list-tokens")
    assert json.loads(run("list-tokens", "--json"))["tokens"][0]["revoked_at"] is not None
    assert '"ok": true' in run("doctor", "--json", "--storage")
    assert '"apps": []' in run("tick", "--json")
    assert '"apps": []' in run("gc", "--json")
    run("backup", str(tmp_path / "b.tar"))
    data[1] = str(tmp_path / "restored")
    run("restore", str(tmp_path / "b.tar"))
    run("doctor", "--repair")


def test_a_port_that_is_taken(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    from headway.cli.main import run

    monkeypatch.setenv("HEADWAY_SERVER_DATA_DIR", "set by the command for its workers, and put back here")
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        assert run(["server", "run", "--data-dir", str(tmp_path / "data"), "--port", str(port)]) == 6
    assert "Error [cannot_listen]: Cannot listen on 127.0.0.1" in capsys.readouterr().err
    assert not (tmp_path / "data").exists()
