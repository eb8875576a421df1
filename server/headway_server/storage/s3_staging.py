"""Parts of large uploads on their way into a bucket: S3's own multipart upload, to a key outside the public tree.

What always holds: the parts become an object under ``incoming/``, which nothing public names; that object is hashed
here while it streams from the bucket, and only then copied (inside the bucket) to its public place. A presigned
address is worth nothing once the parts are joined, so what was hashed is what is copied.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any

from boto3.s3.transfer import TransferConfig
from botocore.exceptions import BotoCoreError, ClientError

from headway_server.storage.checking import bounded, checked, damaged, storage_failed
from headway_server.storage.s3 import S3Store, headers_of
from headway_server.upload_record import UploadRecord, gone

URL_LIFE_S = 3600
_BLOCK_BYTES = 1024 * 1024
_GONE = ("404", "NoSuchKey", "NotFound", "NoSuchUpload")
# One request copies up to 5 GiB, and one thread must do: a small server answers others meanwhile.
_COPY = TransferConfig(use_threads=False, multipart_threshold=5 * 2**30)


class S3Staging:
    """See :class:`headway_server.ports.Staging`. ``presigned``: whether publishers may send parts to the bucket."""

    min_part_bytes = 5 * 2**20

    def __init__(self, store: S3Store, *, presigned: bool) -> None:
        self._store, self._presigned = store, presigned
        self._client: Any = store.client
        self._folder = store.prefix + "incoming/"

    def begin(self, upload: str) -> str:
        """Begin a multipart upload; S3's name for it."""
        return str(self._ask("create_multipart_upload", self._at(upload))["UploadId"])

    def put_part(self, upload: UploadRecord, number: int, size: int, chunks: Iterable[bytes]) -> None:
        """Hand a part on to the bucket, after it has arrived here as a whole; one that is there is not sent again.

        Replacing a part is allowed, but SeaweedFS 4.48 then loses pieces of the joined object now and then.
        """
        if self.parts(upload).get(number) == size:
            for _ in bounded(chunks, size):
                pass
            return
        try:
            with tempfile.TemporaryFile(dir=self._store.work_dir) as spool:
                for chunk in bounded(chunks, size):
                    spool.write(chunk)
                spool.seek(0)
                self._ask("upload_part", self._of(upload), PartNumber=number, Body=spool, ContentLength=size)
        except OSError as error:
            raise storage_failed(error) from error

    def parts(self, upload: UploadRecord) -> Mapping[int, int]:
        """Sizes of the parts that are in the bucket; all of them once they were joined."""
        listed = self._listed(upload)
        if listed is not None:
            return {int(part["PartNumber"]): int(part["Size"]) for part in listed}
        return {n: upload.bytes_of(n) for n in upload.numbers()} if self._joined(upload) else {}

    def part_url(self, upload: UploadRecord, number: int, size: int) -> str | None:
        """An address that takes exactly this part for an hour, where publishers may reach the bucket."""
        if not self._presigned:
            return None
        wanted = {**self._of(upload), "PartNumber": number, "ContentLength": size}
        return str(
            self._store.signing_client.generate_presigned_url("upload_part", Params=wanted, ExpiresIn=URL_LIFE_S)
        )

    def finish(self, upload: UploadRecord, path: str) -> None:
        """Join the parts, hash them, and copy them to their public place; picks up where another attempt ended."""
        if self._store.size(path) == upload.size:
            return
        listed = self._listed(upload)
        if listed is not None:
            parts = [{"PartNumber": part["PartNumber"], "ETag": part["ETag"]} for part in listed]
            self._ask("complete_multipart_upload", self._of(upload), MultipartUpload={"Parts": parts})
        elif not self._joined(upload):
            raise gone()
        self._hash(upload)
        source = {"Bucket": self._store.bucket, "Key": self._folder + upload.id}
        extra = {**headers_of(path), "MetadataDirective": "REPLACE"}
        try:
            self._client.copy(source, self._store.bucket, self._store.key(path), ExtraArgs=extra, Config=_COPY)
        except ClientError as error:
            raise damaged(error) from error
        except BotoCoreError as error:
            raise storage_failed(error) from error

    def discard(self, upload: str, handle: str) -> None:
        """Remove all parts, joined or not."""
        if handle:
            self._ask("abort_multipart_upload", {**self._at(upload), "UploadId": handle}, gone_is_none=True)
        self._ask("delete_object", self._at(upload), gone_is_none=True)

    def strays(self, known: frozenset[str], older_than_s: float) -> tuple[tuple[str, str], ...]:
        """Multipart uploads and joined objects that nobody knows."""
        found: list[tuple[str, str, datetime]] = []
        try:
            for page in self._pages("list_multipart_uploads"):
                found += [(item["Key"], item["UploadId"], item["Initiated"]) for item in page.get("Uploads", [])]
            for page in self._pages("list_objects_v2"):
                found += [(item["Key"], "", item["LastModified"]) for item in page.get("Contents", [])]
        except (BotoCoreError, ClientError) as error:
            raise storage_failed(error) from error
        named = ((key.removeprefix(self._folder), handle, since) for key, handle, since in found)
        return tuple(sorted((n, h) for n, h, t in named if n not in known and t.timestamp() < older_than_s))

    def _hash(self, upload: UploadRecord) -> None:
        body = self._ask("get_object", self._at(upload.id))["Body"]
        try:
            for _ in checked(body.iter_chunks(_BLOCK_BYTES), upload.digest, upload.size):
                pass
        except BotoCoreError as error:
            raise storage_failed(error) from error
        finally:
            body.close()

    def _listed(self, upload: UploadRecord) -> list[Any] | None:
        """The parts of the multipart upload in order; None if it is over."""
        try:
            pages = self._client.get_paginator("list_parts").paginate(**self._of(upload))
            return [part for page in pages for part in page.get("Parts", [])]
        except ClientError as error:
            if error.response.get("Error", {}).get("Code") in _GONE:
                return None
            raise storage_failed(error) from error
        except BotoCoreError as error:
            raise storage_failed(error) from error

    def _joined(self, upload: UploadRecord) -> bool:
        found = self._ask("head_object", self._at(upload.id), gone_is_none=True)
        return found is not None and int(found["ContentLength"]) == upload.size

    def _pages(self, operation: str) -> Any:
        return self._client.get_paginator(operation).paginate(Bucket=self._store.bucket, Prefix=self._folder)

    def _at(self, upload: str) -> dict[str, Any]:
        return {"Bucket": self._store.bucket, "Key": self._folder + upload}

    def _of(self, upload: UploadRecord) -> dict[str, Any]:
        return {**self._at(upload.id), "UploadId": upload.handle}

    def _ask(self, operation: str, where: dict[str, Any], *, gone_is_none: bool = False, **more: Any) -> Any:
        try:
            return getattr(self._client, operation)(**where, **more)
        except ClientError as error:
            if error.response.get("Error", {}).get("Code") not in _GONE:
                raise storage_failed(error) from error
            if gone_is_none:
                return None
            raise gone() from error
        except BotoCoreError as error:
            raise storage_failed(error) from error
