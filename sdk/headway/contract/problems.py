"""One mapping from errors to ``application/problem+json`` (RFC 9457) and to exit codes of the command line."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from headway.contract.errors import (
    DeviceStoreError,
    HeadwayError,
    IncompatibleError,
    JsonScalar,
    RefusedError,
    TransferError,
    UntrustedError,
)

MEDIA_TYPE = "application/problem+json"

_STATUS_OF_KIND = {
    "invalid": 422,
    "not_authenticated": 401,
    "not_allowed": 403,
    "not_found": 404,
    "conflict": 409,
    "too_large": 413,
    "gate": 422,
    "rate_limited": 429,
}
_EXIT_OF_KIND = {
    "usage": 2,
    "not_authenticated": 4,
    "not_allowed": 4,
    "not_found": 5,
    "conflict": 6,
    "gate": 8,
    "rate_limited": 7,
}


@dataclass(frozen=True, slots=True)
class Problem:
    """A problem document. ``type`` is a relative reference to the page of the code in our documentation.

    ``family`` and ``kind`` (of a refusal) let a client raise the error that the server met: a failed proof ends the
    command line with 3 and a missed gate with 8, although both travel as status 422.
    """

    type: str
    title: str
    status: int
    detail: str
    code: str
    hint: str
    data: dict[str, JsonScalar]
    family: str = "failed"
    kind: str | None = None

    def to_json(self) -> dict[str, object]:
        """Members of RFC 9457 §3.1 with our extensions ``code``, ``hint``, ``data``, ``family``, ``kind``."""
        return {
            "type": self.type,
            "title": self.title,
            "status": self.status,
            "detail": self.detail,
            "code": self.code,
            "hint": self.hint,
            "data": dict(self.data),
            "family": self.family,
            "kind": self.kind,
        }


def status_of(error: HeadwayError) -> int:
    """HTTP status of an error: the server answers it, the publisher client turns it back."""
    match error:
        case RefusedError(kind=kind):
            return _STATUS_OF_KIND.get(kind, 422)
        case UntrustedError():
            return 422
        case IncompatibleError():
            return 422
        case TransferError():
            return 503
        case DeviceStoreError():
            return 500
        case _:
            return 500


def exit_code_of(error: HeadwayError) -> int:
    """Exit code: 1 failed, 2 usage, 3 untrusted, 4 not allowed, 5 not found, 6 conflict, 7 retry may help, 8 gate."""
    match error:
        case RefusedError(kind=kind):
            return _EXIT_OF_KIND.get(kind, 1)
        case UntrustedError() | IncompatibleError():
            return 3
        case TransferError():
            return 7
        case _:
            return 1


def problem_of(error: HeadwayError) -> Problem:
    """The problem document of an error."""
    return Problem(
        type=f"/problems/{error.code}",
        title=error.code.replace("_", " ").capitalize(),
        status=status_of(error),
        detail=error.message,
        code=error.code,
        hint=error.hint,
        data=dict(error.data),
        family=error.family,
        kind=error.kind if isinstance(error, RefusedError) else None,
    )


_KIND_OF_STATUS = {
    401: "not_authenticated",
    403: "not_allowed",
    404: "not_found",
    409: "conflict",
    413: "too_large",
    429: "rate_limited",
}


def error_of(status: int, body: object) -> HeadwayError:
    """Turn a problem document back into an error: what a client raises for a response of ``status``.

    Total: ``body`` may be anything that came over the wire. A status of 500 and above is always a
    :class:`TransferError`, since only the server can mend it.
    """
    members: Mapping[str, object] = body if isinstance(body, Mapping) else {}
    code = _member(members, "code", f"http_{status}")
    detail = _member(members, "detail", _member(members, "title", f"The server answered {status}."))
    hint = _member(members, "hint", "Read the server's log for this request.")
    error: HeadwayError
    if status >= 500:
        error = TransferError(code, detail, hint=hint)
    elif members.get("family") == "untrusted":
        error = UntrustedError(code, detail, hint=hint)
    elif members.get("family") == "incompatible":
        error = IncompatibleError(code, detail, hint=hint)
    else:
        error = RefusedError(code, detail, hint=hint, kind=_kind(status, members.get("kind")))
    data = members.get("data")
    if isinstance(data, Mapping):
        error.data.update((str(k), v) for k, v in data.items() if v is None or isinstance(v, str | int))
    return error


def _member(members: Mapping[str, object], name: str, default: str) -> str:
    value = members.get(name)
    return value if isinstance(value, str) else default


def _kind(status: int, claimed: object) -> str:
    if isinstance(claimed, str) and _STATUS_OF_KIND.get(claimed) == status:
        return claimed
    return _KIND_OF_STATUS.get(status, "invalid")
