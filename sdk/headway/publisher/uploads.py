"""Sending a file to a registry: in one request while it is small, in parts that survive broken connections when not.

All state is the registry's, found by the file's digest: whoever was cut off, even with ``kill -9``, goes on by sending
the same file again. Parts go where the registry says, to itself or straight to its bucket; a bucket that cannot be
reached from here is passed by. The token never goes to a bucket.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from headway.contract.digests import Digest
from headway.contract.errors import HeadwayError, RefusedError, TransferError
from headway.contract.parsing import Fields
from headway.publisher.http import Answer, ApiClient, Content

RESUMABLE_BYTES = 32 * 2**20
"""Files of at least this size are sent in parts: a smaller one is sent again as fast as it is asked for."""
MAX_STALLS = 5
"""How often in a row an upload may fail without one more part having arrived."""
_CHUNK_BYTES = 256 * 1024
_HASHING_BYTES_PER_S = 10_000_000
_BEGIN_AGAIN = ("unknown_upload", "parts_missing")

Sent = Callable[[int], None]
"""Called with how many bytes of the file have arrived."""


@dataclass(frozen=True, slots=True)
class Part:
    """A part that the registry misses: ``size`` bytes from ``offset``, to ``url`` or (None) to the registry."""

    number: int
    offset: int
    size: int
    url: str | None


@dataclass(frozen=True, slots=True)
class Standing:
    """Where an upload stands: the first missing parts, and how many there are."""

    stored: bool
    missing: tuple[Part, ...]
    missing_count: int
    part_bytes: int

    @classmethod
    def of(cls, answer: Answer) -> Standing:
        """The registry's answer; raises ``malformed`` if it is none."""
        fields = Fields(answer.json(), "upload")
        stored = fields.boolean("stored")
        parts = tuple(
            Part(part.integer("number"), part.integer("offset"), part.integer("size"), part.optional("url", part.text))
            for part in fields.objects("missing")
        )
        return cls(stored, parts, fields.integer("missing_count"), 0 if stored else fields.integer("part_bytes"))

    def arrived(self, size: int) -> int:
        """Bytes of a file of ``size`` bytes that have arrived, give or take the last part."""
        return size if self.stored else max(0, size - self.missing_count * self.part_bytes)


class Uploader:
    """Sends files of one app, whose addresses begin with ``path``."""

    def __init__(self, api: ApiClient, path: str, *, resumable_bytes: int = RESUMABLE_BYTES) -> None:
        self._api, self._path, self._resumable_bytes = api, path, resumable_bytes
        self._bucket: ApiClient | None = None
        self._bucket_answers = True

    def close(self) -> None:
        """Close idle connections to the bucket."""
        if self._bucket is not None:
            self._bucket.close()

    def send(self, digest: Digest, size: int, source: Path, sent: Sent) -> bool:
        """Send the file at ``source``, or what the registry lacks of it; False if it was there.

        Raises:
            RefusedError: codes ``too_large``, ``too_many_uploads``, ``digest_mismatch``, …
            TransferError: the registry cannot be reached, or nothing arrives any more; run it again.
        """
        if size < self._resumable_bytes:
            return self.put(digest, size, lambda: _read(source, 0, size, sent))
        stalls, least, begun = 0, size, False
        while True:
            try:
                standing = self._begin(digest, size)
                if standing.stored:
                    sent(size)
                    return begun
                begun = True
                if standing.missing_count < least:
                    stalls, least = 0, standing.missing_count
                if self._go_on(digest, size, source, standing, sent):
                    return True
            except (TransferError, RefusedError) as error:
                stalls += 1
                if stalls >= MAX_STALLS or not _worth_going_on(error):
                    raise

    def _go_on(self, digest: Digest, size: int, source: Path, standing: Standing, sent: Sent) -> bool:
        """Send what is listed as missing, or complete the upload if nothing is; whether the file is stored now."""
        arrived = standing.arrived(size)
        sent(arrived)
        if not standing.missing:
            self._complete(digest, size)
            sent(size)
            return True
        for part in standing.missing:
            self._put_part(digest, part, source)
            arrived += part.size
            sent(min(arrived, size))
        return False

    def put(self, digest: Digest, size: int, chunks: Content) -> bool:
        """Send a file in one request; ``chunks`` is called once per attempt. False if it was there."""
        path = f"{self._path}/artifacts/{digest}"
        return self._api.send("PUT", path, content=chunks, headers=_headers(size)).status == 201

    def _begin(self, digest: Digest, size: int) -> Standing:
        body = {"digest": digest, "size": size}
        return Standing.of(self._api.send("POST", f"{self._path}/uploads", body=body))

    def _put_part(self, digest: Digest, part: Part, source: Path) -> None:
        def content() -> Iterator[bytes]:
            return _read(source, part.offset, part.size)

        headers = _headers(part.size)
        if part.url is not None and self._bucket_answers:
            if self._bucket is None:
                self._bucket = ApiClient("", None)
            try:
                # Once: whether it arrived is asked of the registry, and a part that did is not replaced.
                self._bucket.send("PUT", part.url, content=content, headers=headers, repeatable=False)
            except HeadwayError:
                self._bucket_answers = False
            return
        self._api.send("PUT", f"{self._path}/uploads/{digest}/parts/{part.number}", content=content, headers=headers)

    def _complete(self, digest: Digest, size: int) -> None:
        # The registry hashes the whole file before it answers.
        timeout_s = 30 + size / _HASHING_BYTES_PER_S
        self._api.send("POST", f"{self._path}/uploads/{digest}/complete", timeout_s=timeout_s)


def _worth_going_on(error: HeadwayError) -> bool:
    return isinstance(error, TransferError) or error.code in _BEGIN_AGAIN


def _headers(size: int) -> dict[str, str]:
    return {"content-type": "application/octet-stream", "content-length": str(size)}


def _read(source: Path, offset: int, size: int, sent: Sent | None = None) -> Iterator[bytes]:
    left = size
    with source.open("rb") as stream:
        stream.seek(offset)
        while left > 0 and (chunk := stream.read(min(_CHUNK_BYTES, left))):
            left -= len(chunk)
            yield chunk
            if sent is not None:
                sent(size - left)
