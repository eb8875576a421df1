"""Online keys in files (``<keys>/<app>/{channels,snapshot,timestamp}.pem``, mode 0600) and what they sign.

Keys are never overwritten; replacing them makes new ones beside the old. Whoever has them can withhold releases or
choose among the publisher's; nothing signed here can name a file that the publisher did not sign.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from datetime import datetime
from pathlib import Path

from headway.contract.channel import ChannelDocument
from headway.contract.errors import RefusedError
from headway.contract.versions import parse_name
from headway.trust.keys import KeyFolder, SigningKey
from headway.trust.online import CHANNELS, SNAPSHOT, TIMESTAMP, OnlineKeys, sign_channels, sign_snapshot, sign_timestamp

_ROLES = (CHANNELS, SNAPSHOT, TIMESTAMP)


class FileSigner:
    """See :class:`headway_server.ports.OnlineSigner`. A role's keys are ``<role>.pem``, then ``<role>-2.pem`` …"""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._loaded: dict[tuple[str, str], SigningKey] = {}

    def keys(self, app: str) -> OnlineKeys:
        """The newest public keys, made on first use."""
        return OnlineKeys(*(self._newest(app, role).public for role in _ROLES))

    def replace_keys(self, app: str) -> OnlineKeys:
        """Make new keys beside the old ones."""
        folder = self._of(app)
        for role in _ROLES:
            folder.create(f"{role}-{len(_names(folder, role)) + 1}")
        return self.keys(app)

    def holds(self, app: str, role: str, keyids: Sequence[str]) -> bool:
        """Whether the one key listed for a role is ours."""
        return len(keyids) == 1 and self._find(app, role, keyids) is not None

    def channels(
        self,
        app: str,
        keyids: Sequence[str],
        current: bytes | None,
        documents: Iterable[ChannelDocument],
        now: datetime,
    ) -> bytes:
        """The next version of the role ``channels``."""
        return sign_channels(current, documents, self._listed(app, CHANNELS, keyids), now=now)

    def snapshot(
        self,
        app: str,
        keyids: Sequence[str],
        current: bytes | None,
        roles: Mapping[str, bytes],
        unchanged: Collection[str],
        now: datetime,
    ) -> bytes:
        """The next snapshot."""
        return sign_snapshot(current, roles, self._listed(app, SNAPSHOT, keyids), unchanged=unchanged, now=now)

    def timestamp(
        self, app: str, keyids: Sequence[str], current: bytes | None, snapshot: bytes, now: datetime
    ) -> bytes:
        """The next timestamp."""
        return sign_timestamp(current, snapshot, self._listed(app, TIMESTAMP, keyids), now=now)

    def _of(self, app: str) -> KeyFolder:
        return KeyFolder(self._folder / parse_name(app, what="app"))

    def _newest(self, app: str, role: str) -> SigningKey:
        folder = self._of(app)
        names = _names(folder, role)
        if not names:
            try:
                folder.create(role)
            except RefusedError as error:
                if error.code != "key_exists":  # another worker was faster: its key counts
                    raise
            names = (role,)
        return self._load(app, names[-1])

    def _find(self, app: str, role: str, keyids: Sequence[str]) -> SigningKey | None:
        for name in reversed(_names(self._of(app), role)):
            key = self._load(app, name)
            if key.public.keyid in keyids:
                return key
        return None

    def _listed(self, app: str, role: str, keyids: Sequence[str]) -> SigningKey:
        found = self._find(app, role, keyids)
        if found is None:
            raise RefusedError(
                "no_online_key",
                f"The key of the role {role} of {app} is not in this server's keys folder.",
                hint="Restore the keys folder from the backup, or replace the online keys.",
                kind="conflict",
            )
        return found

    def _load(self, app: str, name: str) -> SigningKey:
        found = self._loaded.get((app, name))
        if found is None:
            found = self._loaded[app, name] = self._of(app).load(name)
        return found


def _names(folder: KeyFolder, role: str) -> tuple[str, ...]:
    """Names of a role's keys, oldest first."""
    mine = [name for name in folder.names() if name == role or name.rpartition("-")[0] == role]
    return tuple(sorted(mine, key=lambda name: int(name.rpartition("-")[2]) if name != role else 1))
