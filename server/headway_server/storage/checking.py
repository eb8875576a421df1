"""What every store does to a file on its way in: bound it, hash it, and refuse it if it is not what was announced."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Iterator

from headway.contract.digests import Digest
from headway.contract.errors import RefusedError, TransferError

_PATH = re.compile(r"apps(?:/[A-Za-z0-9_][A-Za-z0-9._-]{0,190}){2,9}")


def checked(chunks: Iterable[bytes], digest: Digest, size: int) -> Iterator[bytes]:
    """Pass ``chunks`` on while hashing them; raises at the end, or as soon as there is too much.

    Raises:
        RefusedError: codes ``size_mismatch``, ``digest_mismatch``.
    """
    state, seen = hashlib.sha256(), 0
    for chunk in chunks:
        seen += len(chunk)
        if seen > size:
            break
        state.update(chunk)
        yield chunk
    if seen != size:
        more = "more" if seen > size else f"{seen}"
        raise RefusedError(
            "size_mismatch",
            f"The upload should have {size} bytes but had {more}.",
            hint="Send the whole file again, with its size in Content-Length.",
            expected=size,
        )
    if "sha256:" + state.hexdigest() != digest:
        raise RefusedError(
            "digest_mismatch",
            "The uploaded bytes do not have the digest in the address.",
            hint="Hash the file again and upload it under its own digest; it may have been damaged on the way.",
            expected=digest,
        )


def bounded(chunks: Iterable[bytes], size: int) -> Iterator[bytes]:
    """Pass on ``size`` bytes of a part of an upload, no more and no fewer.

    Raises:
        RefusedError: code ``size_mismatch``, at the end or as soon as there is too much.
    """
    seen = 0
    for chunk in chunks:
        seen += len(chunk)
        if seen > size:
            break
        yield chunk
    if seen != size:
        raise RefusedError(
            "size_mismatch",
            f"The part should have {size} bytes but had {'more' if seen > size else seen}.",
            hint="Send the whole part again; ask the upload which parts are missing and how long they are.",
            expected=size,
        )


def safe_path(path: str) -> str:
    """``path`` if it is a path of the public tree.

    Raises:
        RefusedError: code ``unsafe_path``.
    """
    if _PATH.fullmatch(path) and len(path) <= 1000:
        return path
    raise RefusedError(
        "unsafe_path",
        "That is no path of the registry's public tree.",
        hint="Use paths as the signed metadata and the manifests name them.",
    )


def damaged(error: Exception) -> TransferError:
    """The error for parts that the bucket joined and then cannot give back: they must be sent again."""
    return TransferError(
        "upload_damaged",
        f"The bucket cannot give back what was uploaded ({type(error).__name__}).",
        hint="Nothing is public. The upload is given up: begin it again.",
        retry_after_s=1,
    )


def storage_failed(error: Exception) -> TransferError:
    """The error for a disk or bucket that failed; nothing partial was left visible."""
    return TransferError(
        "storage_failed",
        f"The registry's storage failed ({type(error).__name__}).",
        hint="Nothing was changed. Check free space and access with `headway server doctor`, then send it again.",
    )
