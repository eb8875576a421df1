"""SHA-256 at the lengths where padding goes wrong, the spelling of digests, and the digest of a folder."""

from __future__ import annotations

from form import Case, Json, canonical, digest, vectors


def build() -> Json:
    """``digest_of`` and ``parse_digest``."""
    lengths = (0, 1, 3, 55, 56, 57, 63, 64, 65, 111, 112, 119, 120, 127, 128, 129, 1000)
    hashed: list[Case] = [
        {
            "comment": f"{length} bytes",
            "flags": ["Hash"],
            "data_hex": (data := bytes(i * 7 % 256 for i in range(length))).hex(),
            "digest": digest(data),
        }
        for length in lengths
    ]
    good = digest("abc")
    spelled = [
        ("64 lower-case digits", good, True),
        ("upper-case digits", "sha256:" + good[7:].upper(), False),
        ("upper-case algorithm", "SHA256:" + good[7:], False),
        ("no algorithm", good[7:], False),
        ("another algorithm", "sha512:" + good[7:], False),
        ("63 digits", good[:-1], False),
        ("65 digits", good + "0", False),
        ("a letter past f", good[:-1] + "g", False),
        ("a line feed at the end", good + "\n", False),
        ("a space before", " " + good, False),
        ("full-width digits", "sha256:" + "０" * 64, False),
        ("empty", "", False),
        ("a number", 7, False),
        ("null", None, False),
    ]
    return vectors(
        "SHA-256 digests and their one spelling",
        {"Hash": "digest of data_hex", "Spelling": "value read as a digest"},
        [*hashed, *({"comment": c, "flags": ["Spelling"], "value": v, "valid": ok} for c, v, ok in spelled)],
    )


def build_trees() -> Json:
    """``tree_digest``."""
    a, b, c = digest("a"), digest("b"), digest("c")

    def tree(comment: str, files: list[tuple[str, str, int]]) -> Case:
        rows = [{"digest": d, "path": p, "size": s} for p, d, s in sorted(files)]
        return {
            "comment": comment,
            "flags": ["Tree"],
            "files": [{"path": p, "digest": d, "size": s} for p, d, s in files],
            "digest": digest(canonical(rows)),
        }

    return vectors(
        "The digest of a folder: of the canonical list of its files, by path in byte order",
        {"Tree": "digest of a file list; the order given does not count"},
        [
            tree("no file", []),
            tree("one file", [("weights/weight.bin", a, 3)]),
            tree("a package", [("Manifest.json", a, 10), ("Data/model.mlmodel", b, 20), ("Data/weights.bin", c, 0)]),
            tree(
                "the same in another order",
                [("Data/weights.bin", c, 0), ("Data/model.mlmodel", b, 20), ("Manifest.json", a, 10)],
            ),
            tree("byte order: capitals before small letters", [("b", a, 1), ("B", b, 1), ("a", c, 1), ("A", a, 2)]),
            tree(
                "byte order: - before . before / before digits",
                [("a/b", a, 1), ("a.b", b, 1), ("a-b", c, 1), ("a0", a, 1)],
            ),
            tree("another size is another folder", [("weights/weight.bin", a, 4)]),
        ],
    )
