"""The signed facts of heads and bases."""

from __future__ import annotations

from form import Case, Json, canonical, digest, vectors, without

HEAD: dict[str, object] = {
    "schema": 1,
    "app": "headway-demo",
    "base_id": "kdconv-mobilebert",
    "name": "topic",
    "release": 17,
    "head": digest("head 17"),
    "parent": digest("head 16"),
    "bases": [{"digest": digest("base"), "proof": digest("proof 17")}],
    "contract": digest("contract"),
    "labels": digest("labels"),
    "num_classes": 3,
    "min_os": "17.0.0",
    "max_os": None,
    "min_app_build": 100,
    "status": "live",
    "rebase": "merge",
    "bytes": 7328,
}
BASE: dict[str, object] = {
    "schema": 1,
    "app": "headway-demo",
    "base_id": "kdconv-mobilebert",
    "version": "1.2",
    "package": digest("base"),
    "contract": digest("contract"),
    "bytes": 7_150_817,
    "status": "live",
}


def _good(kind: str, comment: str, value: dict[str, object], read: dict[str, object] | None = None) -> Case:
    return {
        "comment": comment,
        "flags": [kind],
        "kind": kind.lower(),
        "custom": value,
        "valid": True,
        "canonical": canonical(read or value),
    }


def _bad(kind: str, flag: str, comment: str, value: Json) -> Case:
    return {"comment": comment, "flags": [kind, flag], "kind": kind.lower(), "custom": value, "valid": False}


def build() -> Json:
    """``HeadTarget`` and ``BaseTarget``."""
    edge = {"digest": digest("base"), "proof": digest("proof 17")}
    wrong_heads: list[tuple[str, dict[str, object]]] = [
        ("a newer schema", {"schema": 2}),
        ("an app that is no name", {"app": "*"}),
        ("a name with a slash", {"name": "topic/1"}),
        ("release 0", {"release": 0}),
        ("a release past the last", {"release": 10**9}),
        ("a release that is true", {"release": True}),
        ("a release as text", {"release": "17"}),
        ("a head that is no digest", {"head": "head.mlmodel"}),
        ("a parent that is no digest", {"parent": 16}),
        ("a base by name", {"bases": ["kdconv-mobilebert"]}),
        ("a base without proof", {"bases": [{"digest": digest("base")}]}),
        ("bases as object", {"bases": edge}),
        ("65 bases", {"bases": [edge] * 65}),
        ("one class", {"num_classes": 1}),
        ("too many classes", {"num_classes": 10_001}),
        ("a system version as number", {"min_os": 17}),
        ("a system version with a name", {"min_os": "iOS 17"}),
        ("the latest system as list", {"max_os": [18]}),
        ("a negative app build", {"min_app_build": -1}),
        ("another status", {"status": "yanked"}),
        ("another rebase policy", {"rebase": "retrain"}),
        ("negative bytes", {"bytes": -1}),
    ]
    wrong_bases: list[tuple[str, dict[str, object]]] = [
        ("a newer schema", {"schema": 2}),
        ("a version with a leading zero", {"version": "01"}),
        ("a version as number", {"version": 1}),
        ("a package by name", {"package": "base.mlpackage"}),
        ("another status", {"status": "old"}),
    ]
    optional = ("parent", "max_os")
    return vectors(
        "The signed facts (custom) of heads and bases in targets metadata",
        {
            "Head": "facts of a head",
            "Base": "facts of a base",
            "Missing": "a field is missing",
            "Wrong": "a field has no meaning",
            "NotObject": "not even an object",
        },
        [
            _good("Head", "as published", HEAD),
            _good("Head", "a first release has no parent", {**HEAD, "parent": None, "release": 1}),
            _good("Head", "a missing parent reads as none", without(HEAD, "parent"), {**HEAD, "parent": None}),
            _good(
                "Head",
                "system versions are written in full",
                {**HEAD, "min_os": "17", "max_os": "18.2"},
                {**HEAD, "min_os": "17.0.0", "max_os": "18.2.0"},
            ),
            _good("Head", "no base at all", {**HEAD, "bases": []}),
            _good("Head", "the last release number", {**HEAD, "release": 10**9 - 1}),
            _good("Head", "revoked", {**HEAD, "status": "revoked"}),
            _good("Head", "an unknown field is ignored", {**HEAD, "later": [1]}, HEAD),
            *(_bad("Head", "Missing", f"without {n}", without(HEAD, n)) for n in HEAD if n not in optional),
            *(_bad("Head", "Wrong", comment, {**HEAD, **change}) for comment, change in wrong_heads),
            *(_bad("Head", "NotObject", f"{value!r}", value) for value in (None, [], "topic", 17, True)),
            _good("Base", "as published", BASE),
            _good("Base", "revoked", {**BASE, "status": "revoked"}),
            *(_bad("Base", "Missing", f"without {n}", without(BASE, n)) for n in BASE),
            *(_bad("Base", "Wrong", comment, {**BASE, **change}) for comment, change in wrong_bases),
        ],
    )
