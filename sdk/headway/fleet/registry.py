"""The real server as a child process on loopback, with its data in a folder that can be used afterwards.

It is started by the same command a person types (``headway server run``), so what a rehearsal meets is what will be
deployed. The process is stopped at the end, also when the run fails; its data and its log stay.
"""

from __future__ import annotations

import os
import re
import socket
import subprocess
import sys
import time
from pathlib import Path
from types import TracebackType

import httpx2

from headway.contract.errors import RefusedError, TransferError
from headway.loopback import DIRECT

_TOKEN = re.compile(r"hw_[a-z0-9]+_[A-Za-z0-9_-]+")
_COMMAND = "from headway.cli.main import main; main()"
_CHOICES = 5
"""How many ports are tried where none was asked for: one that was free may be somebody's before the server has it."""
TOKEN_FILE = "admin-token"


class RegistryProcess:
    """A running server. ``url`` and ``token`` are known once it is entered.

    The admin token, shown once by the server, is kept in ``data``/``admin-token`` (mode 0600), so that the registry
    can be used after the run.
    """

    def __init__(self, data: Path, *, port: int = 0, start_s: float = 180.0) -> None:
        self.data = data
        self._choices = [port] if port else [_free_port() for _ in range(_CHOICES)]
        self.port = self._choices[0]
        self.token = ""
        self._start_s = start_s
        self._process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> RegistryProcess:
        if self._process is not None:
            raise RuntimeError("this registry is running already")
        self.data.mkdir(parents=True, exist_ok=True)
        try:
            for port in self._choices:
                self.port = port
                self._start()
                if self._answers() or not self._found_its_port_taken():
                    break
            self._check()
            self.token = self._admin_token()
        except BaseException:
            self.stop()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    @property
    def url(self) -> str:
        """Where it serves."""
        return f"http://127.0.0.1:{self.port}"

    @property
    def log(self) -> Path:
        """Where the server writes what it does."""
        return self.data / "server.log"

    @property
    def pid(self) -> int | None:
        """The process id while it runs."""
        return self._process.pid if self._process is not None else None

    def stop(self) -> None:
        """Stop gracefully, and by force after a while. Stopping twice is harmless."""
        process, self._process = self._process, None
        if process is None:
            return
        process.terminate()
        try:
            process.wait(timeout=15)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait(timeout=15)

    def _start(self) -> None:
        environment = os.environ | {
            "HEADWAY_SERVER_DATA_DIR": str(self.data),
            "HEADWAY_SERVER_PORT": str(self.port),
            "HEADWAY_SERVER_HOST": "127.0.0.1",
            "HEADWAY_SERVER_THREADS": "4",
        }
        # Appending: the token is taken out of the log while the server still writes to it.
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(
                [sys.executable, "-c", _COMMAND, "server", "run"],
                env=environment,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
            )

    def _answers(self) -> bool:
        """Wait for its first answer, quickly since the whole run waits for it; stop it if it takes too long."""
        assert self._process is not None
        deadline = time.monotonic() + self._start_s
        with httpx2.Client(timeout=2.0, mounts=DIRECT) as client:
            while self._process.poll() is None and time.monotonic() < deadline:
                try:
                    if client.get(f"{self.url}/readyz").status_code == 200 and self._process.poll() is None:
                        return True
                except httpx2.HTTPError:
                    pass
                time.sleep(0.05)
        self._process.kill()
        self._process.wait()
        return False

    def _found_its_port_taken(self) -> bool:
        return "cannot_listen" in _tail(self.log)

    def _check(self) -> None:
        assert self._process is not None
        if self._process.poll() is not None:
            raise TransferError(
                "registry_did_not_start",
                "The registry did not start.",
                hint=f"Read its log: {self.log}",
                log=_tail(self.log),
            )

    def _admin_token(self) -> str:
        kept, text = self.data / TOKEN_FILE, self.log.read_text(encoding="utf-8", errors="replace")
        shown = _TOKEN.search(text)
        if shown is not None:
            kept.touch(mode=0o600)
            kept.write_text(shown.group() + "\n", encoding="ascii")
            self.log.write_text(text.replace(shown.group(), f"(kept in {TOKEN_FILE})"), encoding="utf-8")
            return shown.group()
        if kept.is_file():
            return kept.read_text(encoding="ascii").strip()
        raise RefusedError(
            "no_admin_token",
            "The registry in this folder was made before, and its admin token is not at hand.",
            hint="Use another folder, or make a token with `headway server create-token` and put it into admin-token.",
        )


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _tail(path: Path, size: int = 500) -> str:
    try:
        return path.read_text(encoding="utf-8", errors="replace")[-size:]
    except OSError:
        return ""
