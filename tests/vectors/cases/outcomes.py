"""Outcomes: what a device reports, and what it cannot say."""

from __future__ import annotations

from form import Case, Json, canonical, digest, vectors, without

_PLAIN: dict[str, object] = {
    "schema": 1,
    "event": "00112233445566778899aabbccddeeff",
    "kind": "confirmed",
    "channel": "stable",
    "base": digest("base"),
    "name": "topic",
    "release": 17,
    "head": digest("head 17"),
}


def _good(kind: str, **more: object) -> Case:
    value = {**_PLAIN, "kind": kind, **more}
    return {"comment": kind, "flags": ["Good"], "outcome": value, "valid": True, "canonical": canonical(value)}


def _bad(flag: str, comment: str, value: Json) -> Case:
    return {"comment": comment, "flags": [flag], "outcome": value, "valid": False}


def build() -> Json:
    """``Outcome`` and ``gain_bucket``."""
    gains = ("worse", "none", "0-1", "1-5", "5-20", "over-20")
    good = [
        _good("installed"),
        _good("confirmed"),
        _good("rolled_back", detail="attempts_used_up"),
        _good("refused", detail="base_not_proven"),
        *(_good("personalised", gain=gain) for gain in gains),
        _good("rebased", detail="merge", gain="0-1"),
        _good("recalled", detail="wrong_labels_2"),
        _good("installed", release=0),
        _good("rolled_back", detail="x" * 64),
    ]
    null: Case = {
        "comment": "null is absent",
        "flags": ["Good"],
        "outcome": {**_PLAIN, "detail": None, "gain": None},
        "valid": True,
        "canonical": canonical(_PLAIN),
    }
    private = [
        ("a user's words as detail", {**_PLAIN, "kind": "rolled_back", "detail": "call mum"}),
        ("capitals in detail", {**_PLAIN, "kind": "rolled_back", "detail": "NaN"}),
        ("ideographs in detail", {**_PLAIN, "kind": "rolled_back", "detail": "崩溃"}),
        ("an empty detail", {**_PLAIN, "kind": "rolled_back", "detail": ""}),
        ("a detail of 65", {**_PLAIN, "kind": "rolled_back", "detail": "x" * 65}),
        ("an exact gain", {**_PLAIN, "kind": "personalised", "gain": "3.1415"}),
        ("a gain as number", {**_PLAIN, "kind": "personalised", "gain": 3}),
        ("an install id as event", {**_PLAIN, "event": "0b8f2c1e-7d55-4b64-9e0b-6a2f0c9d4e11"}),
        ("an event in capitals", {**_PLAIN, "event": "00112233445566778899AABBCCDDEEFF"}),
        ("an event of 31 digits", {**_PLAIN, "event": "0" * 31}),
        ("an event of full-width digits", {**_PLAIN, "event": "０" * 32}),
    ]
    fields = [
        ("rolled back without detail", {**_PLAIN, "kind": "rolled_back"}),
        ("confirmed with detail", {**_PLAIN, "detail": "fine"}),
        ("confirmed with gain", {**_PLAIN, "gain": "none"}),
        ("personalised without gain", {**_PLAIN, "kind": "personalised"}),
        ("personalised with detail", {**_PLAIN, "kind": "personalised", "gain": "none", "detail": "x"}),
        ("rebased without detail", {**_PLAIN, "kind": "rebased", "gain": "none"}),
        ("rebased without gain", {**_PLAIN, "kind": "rebased", "detail": "merge"}),
        ("another kind", {**_PLAIN, "kind": "opened"}),
        ("a newer schema", {**_PLAIN, "schema": 2}),
        ("a release as text", {**_PLAIN, "release": "17"}),
        ("a negative release", {**_PLAIN, "release": -1}),
        ("a release past the last", {**_PLAIN, "release": 10**9}),
        ("a channel that is no name", {**_PLAIN, "channel": "Stable"}),
        *((f"without {n}", without(_PLAIN, n)) for n in _PLAIN),
        ("not an object", [_PLAIN]),
        ("null", None),
    ]
    points = [
        ("-0.5", "worse"),
        ("-1e-9", "worse"),
        ("0", "none"),
        ("1e-10", "none"),
        ("0.5", "0-1"),
        ("1", "0-1"),
        ("1.0001", "1-5"),
        ("5", "1-5"),
        ("5.5", "5-20"),
        ("20", "5-20"),
        ("20.5", "over-20"),
        ("inf", "over-20"),
        ("-inf", "worse"),
        ("nan", "worse"),
    ]
    return vectors(
        "Outcomes: no identifier, no text, no exact number",
        {
            "Good": "an outcome",
            "Private": "would say something about a person",
            "Fields": "what its kind needs or forbids",
            "Gain": "bucket of a gain in percentage points",
        },
        [
            *good,
            null,
            *(_bad("Private", c, v) for c, v in private),
            *(_bad("Fields", c, v) for c, v in fields),
            *({"comment": f"{p} points", "flags": ["Gain"], "points": p, "gain": g} for p, g in points),
        ],
    )
