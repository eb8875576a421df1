"""Errors as problem documents and exit codes, there and back."""

from __future__ import annotations

from form import Case, Json, vectors


def _case(family: str, kind: str | None, status: int, exit_code: int, back: tuple[str, str | None, int]) -> Case:
    title = "Proof missed" if family == "untrusted" else "Some code"
    code = title.lower().replace(" ", "_")
    return {
        "comment": family if kind is None else f"{family}: {kind}",
        "flags": ["Problem"],
        "error": {
            "family": family,
            "kind": kind,
            "code": code,
            "message": "It failed.",
            "hint": "Do that.",
            "data": {"rows": 7, "path": "a", "ok": False, "none": None},
        },
        "exit_code": exit_code,
        "problem": {
            "type": f"/problems/{code}",
            "title": title,
            "status": status,
            "detail": "It failed.",
            "code": code,
            "hint": "Do that.",
            "data": {"rows": 7, "path": "a", "ok": False, "none": None},
            "family": family,
            "kind": kind,
        },
        "back": {"family": back[0], "kind": back[1], "exit_code": back[2]},
    }


def _answer(comment: str, status: int, body: Json, family: str, kind: str | None, exit_code: int, code: str) -> Case:
    return {
        "comment": comment,
        "flags": ["Answer"],
        "status": status,
        "body": body,
        "family": family,
        "kind": kind,
        "exit_code": exit_code,
        "code": code,
    }


def build() -> Json:
    """``problem_of``, ``status_of``, ``exit_code_of`` and ``error_of``."""
    refused = {
        "invalid": (422, 1),
        "not_authenticated": (401, 4),
        "not_allowed": (403, 4),
        "not_found": (404, 5),
        "conflict": (409, 6),
        "too_large": (413, 1),
        "gate": (422, 8),
        "rate_limited": (429, 7),
    }
    return vectors(
        "One mapping from errors to problem documents and exit codes",
        {
            "Problem": "an error, its problem document, its exit code, and what a client makes of the document",
            "Answer": "whatever a server may answer",
        },
        [
            *(
                _case("refused", kind, status, code, ("refused", kind, code))
                for kind, (status, code) in refused.items()
            ),
            _case("untrusted", None, 422, 3, ("untrusted", None, 3)),
            _case("incompatible", None, 422, 3, ("incompatible", None, 3)),
            _case("transfer", None, 503, 7, ("transfer", None, 7)),
            _case("device_store", None, 500, 1, ("transfer", None, 7)),
            _answer("not JSON at all", 502, None, "transfer", None, 7, "http_502"),
            _answer("a list", 404, [], "refused", "not_found", 5, "http_404"),
            _answer("a text", 401, "denied", "refused", "not_authenticated", 4, "http_401"),
            _answer("an empty object", 409, {}, "refused", "conflict", 6, "http_409"),
            _answer(
                "a code that is no text",
                403,
                {"code": 7, "detail": [], "hint": {}},
                "refused",
                "not_allowed",
                4,
                "http_403",
            ),
            _answer("an unknown status", 418, {"code": "teapot"}, "refused", "invalid", 1, "teapot"),
            _answer(
                "a kind of another status does not count", 404, {"kind": "gate"}, "refused", "not_found", 5, "http_404"
            ),
            _answer("an unknown kind", 422, {"kind": "other"}, "refused", "invalid", 1, "http_422"),
            _answer(
                "data that would shadow members",
                422,
                {"code": "x", "data": {"code": "y", "message": "z", "hint": "h", "kind": "gate"}},
                "refused",
                "invalid",
                1,
                "x",
            ),
            _answer("data that is no object", 422, {"code": "x", "data": [1]}, "refused", "invalid", 1, "x"),
        ],
    )
