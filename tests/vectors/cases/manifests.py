"""Manifests: the signed list of a release's files."""

from __future__ import annotations

import json

from form import Case, Json, canonical, digest, vectors, without


def _file(path: str, size: int = 3) -> dict[str, object]:
    return {"path": path, "digest": digest(path), "size": size, "media_type": "application/octet-stream"}


HEAD: dict[str, object] = {
    "schema": 1,
    "kind": "head",
    "app": "headway-demo",
    "id": "topic",
    "version": "17",
    "files": [
        _file("card.json"),
        _file("golden.safetensors", 900),
        _file("head.mlmodel", 6400),
        _file("labels.json", 25),
    ],
    "facts": {"rows": 64, "trained": "2026-11-21", "shift": -3},
}
BASE: dict[str, object] = {
    "schema": 1,
    "kind": "base",
    "app": "headway-demo",
    "id": "kdconv-mobilebert",
    "version": "1.2",
    "files": [
        _file("base.mlpackage/Data/com.apple.CoreML/model.mlmodel", 40_000),
        _file("base.mlpackage/Data/com.apple.CoreML/weights/weight.bin", 7_000_000),
        _file("base.mlpackage/Manifest.json", 617),
        _file("contract.json", 200),
        _file("vocab.txt", 110_000),
    ],
    "facts": {},
}


def _tree(value: dict[str, object], folder: str) -> str:
    files: list[dict[str, object]] = value["files"]  # type: ignore[assignment]
    inside = [f for f in files if str(f["path"]).startswith(folder + "/")]
    rows = [
        {"digest": f["digest"], "path": str(f["path"]).removeprefix(folder + "/"), "size": f["size"]} for f in inside
    ]
    return digest(canonical(sorted(rows, key=lambda row: str(row["path"]))))


def _good(comment: str, value: dict[str, object], read: dict[str, object] | None = None, **more: object) -> Case:
    form = canonical(read or value)
    files: list[dict[str, int]] = value["files"]  # type: ignore[assignment]
    total = sum(f["size"] for f in files)
    case: Case = {"comment": comment, "flags": ["Good"], "json": json.dumps(value), "valid": True}
    return {**case, "canonical": form, "digest": digest(form), "total_bytes": total, **more}


def _bad(flag: str, comment: str, value: dict[str, object], code: str = "malformed") -> Case:
    return {"comment": comment, "flags": [flag], "json": json.dumps(value), "valid": False, "code": code}


def _files(*entries: dict[str, object]) -> dict[str, object]:
    return {**HEAD, "files": list(entries)}


def build() -> Json:
    """``Manifest``."""
    files: list[dict[str, object]] = HEAD["files"]  # type: ignore[assignment]
    packages = [
        {"folder": "base.mlpackage", "digest": _tree(BASE, "base.mlpackage")},
        {"folder": "base.mlpackage/Data", "digest": _tree(BASE, "base.mlpackage/Data")},
        {"folder": "vocab.txt", "digest": None},
        {"folder": "base", "digest": None},
        {"folder": "nothing", "digest": None},
    ]
    good = [
        _good("a head", HEAD),
        _good("a base, and the digests of its folders (null: there is no such folder)", BASE, packages=packages),
        _good("files in another order read as sorted", {**HEAD, "files": files[::-1]}, HEAD),
        _good("unknown fields are ignored", {**HEAD, "later": 1, "files": [{**f, "later": 1} for f in files]}, HEAD),
        _good("a release number of seven digits", {**HEAD, "version": "1000000"}),
        _good("no file", {**HEAD, "files": []}),
        _good("32 files in a head", _files(*(_file(f"f{i:02}") for i in range(32)))),
        _good("a file of the most bytes", _files(_file("a", 32 * 2**20))),
    ]
    wrong = [
        ("a newer schema", {"schema": 2}),
        ("another kind", {"kind": "app"}),
        ("an app that is no name", {"app": "Headway Demo"}),
        ("an id that is no name", {"id": "../topic"}),
        ("a head version that is no release number", {"version": "1.2"}),
        ("release 0", {"version": "0"}),
        ("a version as number", {"version": 17}),
        ("files as object", {"files": {}}),
        ("a file as text", {"files": ["card.json"]}),
        ("facts as list", {"facts": []}),
        ("a fact that is true", {"facts": {"a": True}}),
        ("a fact that is a list", {"facts": {"a": [1]}}),
        ("a fact that is null", {"facts": {"a": None}}),
    ]
    one = _file("a")
    wrong_files = [
        ("a negative size", {**one, "size": -1}),
        ("a size as text", {**one, "size": "3"}),
        ("a size that is true", {**one, "size": True}),
        ("a file above the most bytes", {**one, "size": 32 * 2**20 + 1}),
        ("a digest in capitals", {**one, "digest": str(one["digest"]).upper()}),
        ("no media type", without(one, "media_type")),
    ]
    unsafe = ["../evil", "/a", "a\\b", ".hidden", "1/2/3/4/5/6/7", ""]
    return vectors(
        "Manifests of heads and bases",
        {
            "Good": "a manifest",
            "Missing": "a field is missing",
            "Wrong": "a field has no meaning",
            "Path": "a path or a set of paths that is not allowed",
            "Limit": "more than a release may weigh",
        },
        [
            *good,
            *(_bad("Missing", f"without {name}", without(HEAD, name)) for name in HEAD),
            *(_bad("Wrong", comment, {**HEAD, **change}) for comment, change in wrong),
            _bad("Wrong", "a base version with a leading zero", {**BASE, "version": "1.02"}),
            *(_bad("Wrong", comment, _files(entry)) for comment, entry in wrong_files),
            *(_bad("Path", f"the path {path!r}", _files(_file(path)), "unsafe_path") for path in unsafe),
            _bad("Path", "a path twice", _files(_file("a"), _file("a")), "unsafe_path"),
            _bad("Path", "a path twice but for letter case", _files(_file("a"), _file("A")), "unsafe_path"),
            _bad("Path", "a file that is also a folder", _files(_file("a"), _file("a/b")), "unsafe_path"),
            _bad("Limit", "33 files in a head", _files(*(_file(f"f{i:02}") for i in range(33)))),
            _bad(
                "Limit",
                "a head of 64 MiB and a byte",
                _files(_file("a", 2**25), _file("b", 2**25), _file("c", 1)),
                "too_large",
            ),
        ],
    )
