"""The public tree in an S3 bucket (or anything that speaks its protocol), so that a CDN can stand on it.

What always holds: a file is checked in a local temporary file *before* its first byte goes to the bucket, so nothing
wrong or partial is ever there under its name. Races are decided by the database, never by conditional writes, which
not every S3 makes atomic.
"""

from __future__ import annotations

import io
import tempfile
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO, cast

import boto3
from boto3.s3.transfer import TransferConfig
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

from headway.contract.digests import Digest
from headway_server.caching import cache_control, media_type
from headway_server.storage.checking import checked, safe_path, storage_failed

_BLOCK_BYTES = 1024 * 1024
_NOT_THERE = ("404", "NoSuchKey", "NotFound")


@dataclass(frozen=True, slots=True)
class S3Location:
    """Where the bucket is and who we are there. Empty strings mean: as the environment of boto3 says."""

    bucket: str
    prefix: str
    endpoint_url: str
    region: str
    access_key_id: str
    secret_access_key: str
    public_endpoint_url: str = ""
    """Under which address publishers reach the bucket, if that is another one than ours."""


class S3Store:
    """See :class:`headway_server.ports.PublicStore`."""

    def __init__(self, location: S3Location, work_dir: Path) -> None:
        self.bucket = location.bucket
        self.prefix = location.prefix.strip("/") + "/" if location.prefix.strip("/") else ""
        self.work_dir = work_dir
        work_dir.mkdir(parents=True, exist_ok=True)
        self.client: Any = _client(location, location.endpoint_url)
        public = location.public_endpoint_url
        self.signing_client: Any = _client(location, public) if public else self.client

    def put(self, path: str, digest: Digest, size: int, chunks: Iterable[bytes]) -> bool:
        """Store a file after hashing it; False if it was there."""
        if self.size(path) == size:
            return False
        try:
            with tempfile.TemporaryFile(dir=self.work_dir) as spool:
                for chunk in checked(chunks, digest, size):
                    spool.write(chunk)
                spool.seek(0)
                extra = headers_of(path)
                # One thread: an upload must not take more of a small server than the request that brought it.
                config = TransferConfig(use_threads=False)
                self.client.upload_fileobj(spool, self.bucket, self.key(path), ExtraArgs=extra, Config=config)
        except (OSError, BotoCoreError, ClientError) as error:
            raise storage_failed(error) from error
        return True

    def replace(self, path: str, data: bytes) -> None:
        """Write a small file; S3 replaces an object as a whole."""
        try:
            self.client.put_object(Bucket=self.bucket, Key=self.key(path), Body=data, **headers_of(path))
        except (BotoCoreError, ClientError) as error:
            raise storage_failed(error) from error

    def read(self, path: str) -> bytes | None:
        """A small file's bytes."""
        found = self._call("get_object", path)
        return None if found is None else bytes(found["Body"].read())

    def open(self, path: str) -> tuple[BinaryIO, int] | None:
        """A seekable reader (ranged reads of 1 MiB) and the size."""
        size = self.size(path)
        if size is None:
            return None
        raw = _ObjectReader(self.client, self.bucket, self.key(path), size)
        return cast(BinaryIO, io.BufferedReader(raw, _BLOCK_BYTES)), size

    def size(self, path: str) -> int | None:
        """Size in bytes, or None."""
        found = self._call("head_object", path)
        return None if found is None else int(found["ContentLength"])

    def delete(self, path: str) -> None:
        """Remove a file."""
        self._call("delete_object", path)

    def sweep(self, older_than_s: float) -> int:
        """Nothing is ever left behind here."""
        return 0

    def paths(self, prefix: str) -> tuple[str, ...]:
        """All paths below a prefix, sorted."""
        try:
            pages = self.client.get_paginator("list_objects_v2").paginate(
                Bucket=self.bucket, Prefix=self.prefix + prefix
            )
            keys = [item["Key"] for page in pages for item in page.get("Contents", [])]
        except (BotoCoreError, ClientError) as error:
            raise storage_failed(error) from error
        return tuple(sorted(key.removeprefix(self.prefix) for key in keys))

    def key(self, path: str) -> str:
        """Where a path of the public tree is in the bucket."""
        return self.prefix + safe_path(path)

    def _call(self, operation: str, path: str) -> Any:
        try:
            return getattr(self.client, operation)(Bucket=self.bucket, Key=self.key(path))
        except ClientError as error:
            if error.response.get("Error", {}).get("Code") in _NOT_THERE:
                return None
            raise storage_failed(error) from error
        except BotoCoreError as error:
            raise storage_failed(error) from error


class _ObjectReader(io.RawIOBase):
    """An object as a seekable file: each read is one ranged request."""

    def __init__(self, client: Any, bucket: str, key: str, size: int) -> None:
        self._client, self._bucket, self._key, self._size = client, bucket, key, size
        self._position = 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        start = {io.SEEK_SET: 0, io.SEEK_CUR: self._position, io.SEEK_END: self._size}[whence]
        self._position = max(0, start + offset)
        return self._position

    def tell(self) -> int:
        return self._position

    def readinto(self, buffer: Any) -> int:
        wanted = min(len(buffer), self._size - self._position)
        if wanted <= 0:
            return 0
        last = self._position + wanted - 1
        try:
            found = self._client.get_object(Bucket=self._bucket, Key=self._key, Range=f"bytes={self._position}-{last}")
            data = found["Body"].read()
        except (BotoCoreError, ClientError) as error:
            raise storage_failed(error) from error
        buffer[: len(data)] = data
        self._position += len(data)
        return len(data)


def _client(location: S3Location, endpoint_url: str) -> Any:
    return boto3.client(
        "s3",
        endpoint_url=endpoint_url or None,
        region_name=location.region,
        aws_access_key_id=location.access_key_id or None,
        aws_secret_access_key=location.secret_access_key or None,
        config=Config(
            signature_version="s3v4",
            retries={"max_attempts": 4, "mode": "standard"},
            connect_timeout=5,
            read_timeout=30,
            s3={"addressing_style": "path"} if endpoint_url else {},
        ),
    )


def headers_of(path: str) -> dict[str, str]:
    """What the bucket must answer by itself when it serves the file without us."""
    return {"CacheControl": cache_control(path), "ContentType": media_type(path)}
