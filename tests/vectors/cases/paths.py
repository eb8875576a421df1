"""Paths that may and may not stand in a release, and sets of them."""

from __future__ import annotations

from form import Json, vectors


def build() -> Json:
    """``check_path`` and ``check_file_set``."""
    safe = [
        "head.mlmodel",
        "a",
        "A_b-c.d",
        "_x",
        "a..b",
        "a.",
        "base.mlpackage/Data/com.apple.CoreML/weights/weight.bin",
        "1/2/3/4/5/6",
        "x" * 128,
    ]
    unsafe = {
        "": "Form",
        "/etc/passwd": "Escape",
        "../evil": "Escape",
        "a/../b": "Escape",
        "a/..": "Escape",
        "..": "Escape",
        ".": "Escape",
        "./a": "Escape",
        "a/./b": "Escape",
        "a\\..\\b": "Escape",
        "C:\\a": "Escape",
        "C:a": "Escape",
        "~/a": "Escape",
        "a%2e%2e/b": "Escape",
        "a//b": "Form",
        "a/": "Form",
        ".hidden": "Form",
        "a/.git": "Form",
        "-rf": "Form",
        "a/-b": "Form",
        "a b": "Form",
        "a\nb": "Form",
        "a\n": "Form",
        "a\x00b": "Form",
        "é": "Form",
        "头.bin": "Form",
        "a\u2215b": "Form",
        "1/2/3/4/5/6/7": "Form",
        "x" * 129: "Form",
    }
    sets: list[tuple[str, list[str], bool]] = [
        ("nothing", [], True),
        ("different names", ["a", "b", "c/d", "c/e"], True),
        ("a name that begins like another", ["a", "a.b", "ab", "a-b/c"], True),
        ("twice", ["a", "b", "a"], False),
        ("twice but for letter case", ["Data/a", "data/A"], False),
        ("a file that is also a folder", ["a", "a/b"], False),
        ("the same, given the other way round", ["a/b/c", "a"], False),
        ("the same but for letter case", ["a/b/c", "A/B"], False),
        ("folders that differ in letter case only", ["Data/a", "data/b"], False),
    ]
    return vectors(
        "Paths inside a release: refused, never repaired",
        {
            "Safe": "allowed",
            "Escape": "would leave the folder somewhere",
            "Form": "confuses some reader",
            "Set": "paths together",
        },
        [
            *({"comment": "safe", "flags": ["Safe"], "path": p, "valid": True} for p in safe),
            *({"comment": "unsafe", "flags": [flag], "path": p, "valid": False} for p, flag in unsafe.items()),
            *({"comment": c, "flags": ["Set"], "paths": p, "valid": ok} for c, p, ok in sets),
        ],
    )
