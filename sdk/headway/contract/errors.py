"""The five families of errors, grouped by what the caller can do about them.

An expected outcome (no update, known bad, incompatible base) is a value, never an exception. What remains is one
of these families. Each error carries a stable ``code`` for programs, one sentence for people, a ``hint`` that says
what to do next, and ``data`` for logs. None of them ever carries a user's text or a secret.
"""

from __future__ import annotations

from typing import ClassVar

JsonScalar = str | int | bool | None


class HeadwayError(Exception):
    """Base of all errors that Headway raises on purpose.

    ``family`` names what the caller can do; ``code`` is stable across versions and safe to switch on.
    """

    family: ClassVar[str] = "failed"

    def __init__(self, code: str, message: str, *, hint: str, **data: JsonScalar) -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.hint = hint
        self.data = data

    def diagnostics(self) -> str:
        """One line for a log or a terminal: what happened, and what to do next."""
        return f"{self.message} [{self.code}] {self.hint}"


class UntrustedError(HeadwayError):
    """A signature, digest, expiry or version check failed. Never retry the same bytes."""

    family: ClassVar[str] = "untrusted"


class IncompatibleError(HeadwayError):
    """The thing is authentic but cannot work here. Skip it and report it."""

    family: ClassVar[str] = "incompatible"


class TransferError(HeadwayError):
    """The network or the other side failed. Retry later, with backoff."""

    family: ClassVar[str] = "transfer"

    def __init__(
        self, code: str, message: str, *, hint: str, retry_after_s: int | None = None, **data: JsonScalar
    ) -> None:
        super().__init__(code, message, hint=hint, **data)
        self.retry_after_s = retry_after_s


class DeviceStoreError(HeadwayError):
    """The local store is unusable. Run the embedded head, start the store clean, report it."""

    family: ClassVar[str] = "device_store"


class RefusedError(HeadwayError):
    """The request itself is wrong. Change it; repeating it cannot help.

    ``kind`` refines the family for exit codes and HTTP: ``invalid``, ``not_authenticated``, ``not_allowed``,
    ``not_found``, ``conflict``, ``too_large``, ``gate``, ``rate_limited``, or ``usage`` (a command line's alone).
    """

    family: ClassVar[str] = "refused"

    def __init__(self, code: str, message: str, *, hint: str, kind: str = "invalid", **data: JsonScalar) -> None:
        super().__init__(code, message, hint=hint, **data)
        self.kind = kind


def malformed(what: str, path: str, expected: str) -> RefusedError:
    """The error of every parser in the contract: ``what`` document, at ``path``, wanted ``expected``."""
    whole = path == "$"
    return RefusedError(
        "malformed",
        f"The {what} must be {expected}." if whole else f"The {what} is malformed: {path} must be {expected}.",
        hint="Correct it." if whole else "Correct that field, or write the document with a current Headway tool.",
        document=what,
        path=path,
    )
