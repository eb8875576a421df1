"""The server's own secret in a file (``<keys>/server.key``, mode 0600), from which others are derived.

Webhook secrets are derived and so stand in no database, no dump and no log; who has the keys folder has them all.
"""

from __future__ import annotations

import hashlib
import hmac
import os
import secrets
from pathlib import Path

from headway.contract.errors import RefusedError

_BYTES = 32


class FileSecret:
    """See :class:`headway_server.ports.ServerSecret`. The file is made on first use and never replaced."""

    def __init__(self, folder: Path) -> None:
        self._path = folder / "server.key"
        self._key = b""

    def derive(self, *purpose: str) -> bytes:
        """32 bytes for this purpose (HMAC-SHA256 under the secret; parts are separated by a byte no text has)."""
        if not self._key:
            self._key = self._load()
        return hmac.new(self._key, b"\xff".join(part.encode() for part in purpose), hashlib.sha256).digest()

    def _load(self) -> bytes:
        if not self._path.exists():
            self._make()
        key = self._path.read_bytes()
        if len(key) != _BYTES:
            raise RefusedError(
                "damaged_key",
                f"{self._path.name} in the keys folder is damaged.",
                hint="Restore the keys folder from the backup; without it all webhooks need new secrets.",
            )
        return key

    def _make(self) -> None:
        # Written under another name first, then linked: no process ever reads half a key, and the first one counts.
        self._path.parent.mkdir(parents=True, exist_ok=True)
        draft = self._path.with_name(f".server.key-{secrets.token_hex(4)}")
        handle = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        try:
            with os.fdopen(handle, "wb") as file:
                file.write(secrets.token_bytes(_BYTES))
                file.flush()
                os.fsync(file.fileno())
            try:
                os.link(draft, self._path)
            except FileExistsError:
                return
        finally:
            draft.unlink(missing_ok=True)
