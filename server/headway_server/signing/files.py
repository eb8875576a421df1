"""Online keys in files (``<keys>/<app>/{channels,snapshot,timestamp}.pem``, mode 0600) and what they sign.

The keys of an app are made once and never overwritten. Whoever has them can withhold releases or choose among the
publisher's; nothing signed here can name a file that the publisher did not sign.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime
from pathlib import Path

from headway.contract.channel import ChannelDocument
from headway.contract.errors import RefusedError
from headway.contract.versions import parse_name
from headway.trust.keys import KeyFolder, SigningKey
from headway.trust.online import CHANNELS, SNAPSHOT, TIMESTAMP, OnlineKeys, sign_channels, sign_snapshot, sign_timestamp


class FileSigner:
    """See :class:`headway_server.ports.OnlineSigner`."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._loaded: dict[tuple[str, str], SigningKey] = {}

    def keys(self, app: str) -> OnlineKeys:
        """The public keys of the online roles, made on first use."""
        return OnlineKeys(*(self._key(app, role).public for role in (CHANNELS, SNAPSHOT, TIMESTAMP)))

    def channels(self, app: str, current: bytes | None, documents: Iterable[ChannelDocument], now: datetime) -> bytes:
        """The next version of the role ``channels``."""
        return sign_channels(current, documents, self._key(app, CHANNELS), now=now)

    def snapshot(self, app: str, current: bytes | None, roles: Mapping[str, bytes], now: datetime) -> bytes:
        """The next snapshot."""
        return sign_snapshot(current, roles, self._key(app, SNAPSHOT), now=now)

    def timestamp(self, app: str, current: bytes | None, snapshot: bytes, now: datetime) -> bytes:
        """The next timestamp."""
        return sign_timestamp(current, snapshot, self._key(app, TIMESTAMP), now=now)

    def _key(self, app: str, role: str) -> SigningKey:
        found = self._loaded.get((app, role))
        if found is None:
            found = self._loaded[app, role] = _load_or_create(
                KeyFolder(self._folder / parse_name(app, what="app")), role
            )
        return found


def _load_or_create(folder: KeyFolder, role: str) -> SigningKey:
    if role not in folder.names():
        try:
            return folder.create(role)
        except RefusedError as error:
            if error.code != "key_exists":  # another worker was faster: its key counts
                raise
    return folder.load(role)
