"""The entity tag of the stored timestamp: what makes an unchanged poll one conditional request.

A tag is only used for exactly the bytes and the URL that it came with, so a half-finished refresh or a moved registry
falls back to the whole workflow. It carries no trust: after a 304 everything stored is verified again.
"""

from __future__ import annotations

from headway.contract.digests import canonical_json, digest_of
from headway.contract.errors import RefusedError
from headway.contract.parsing import decode
from headway.trust.ports import Fetched, MetadataStorage

_NAME = "timestamp.etag"
_TIMESTAMP = "timestamp.json"
_MAX_TAG = 256


class TimestampTag:
    """Remembers one tag beside the metadata."""

    def __init__(self, storage: MetadataStorage, url: str) -> None:
        self._storage = storage
        self._url = url

    def known(self) -> str | None:
        """The tag of the timestamp stored now, if it came from this URL."""
        record, timestamp = self._storage.read(_NAME), self._storage.read(_TIMESTAMP)
        if record is None or timestamp is None:
            return None
        try:
            fields = decode(record, "entity tag")
            tag, url, digest = fields.text("etag"), fields.text("url"), fields.digest("timestamp")
        except RefusedError:
            return None
        return tag if (url, digest) == (self._url, digest_of(timestamp)) else None

    def keep(self, answer: Fetched) -> None:
        """Remember the tag of ``answer`` if its body is what is stored."""
        tag, timestamp = answer.etag, self._storage.read(_TIMESTAMP)
        usable = tag is not None and len(tag) <= _MAX_TAG and tag.isascii() and tag.isprintable()
        if not usable or timestamp != answer.body:
            self.forget()
            return
        record = {"etag": tag, "url": self._url, "timestamp": digest_of(answer.body)}
        data = canonical_json(record, document="entity tag")
        if self._storage.read(_NAME) != data:
            self._storage.write_atomic(_NAME, data)

    def forget(self) -> None:
        """Ask unconditionally next time."""
        self._storage.remove(_NAME)
