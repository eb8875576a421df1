"""Feature contracts."""

from __future__ import annotations

import json

from form import Case, Json, canonical, digest, vectors, without

GOOD: dict[str, object] = {
    "schema": 1,
    "output": "features",
    "shape": [512],
    "dtype": "float32",
    "feature_space": "kdconv-mobilebert/1",
    "tokenizer": digest("vocabulary"),
    "max_sequence_length": 64,
}


def _good(comment: str, value: dict[str, object], read: dict[str, object] | None = None) -> Case:
    form = canonical(value if read is None else read)
    return {
        "comment": comment,
        "flags": ["Good"],
        "json": json.dumps(value),
        "valid": True,
        "canonical": form,
        "digest": digest(form),
        "dimension": value["shape"][0],  # type: ignore[index]
    }


def build() -> Json:
    """``FeatureContract``."""
    changes: list[tuple[str, dict[str, object]]] = [
        ("a newer schema", {"schema": 2}),
        ("schema 0", {"schema": 0}),
        ("schema true", {"schema": True}),
        ("schema as text", {"schema": "1"}),
        ("shape of rank 2", {"shape": [1, 512]}),
        ("shape of rank 0", {"shape": []}),
        ("shape as a number", {"shape": 512}),
        ("a dimension of 0", {"shape": [0]}),
        ("a negative dimension", {"shape": [-1]}),
        ("a dimension of true", {"shape": [True]}),
        ("a dimension as text", {"shape": ["512"]}),
        ("a dimension past 65536", {"shape": [65537]}),
        ("another type", {"dtype": "float16"}),
        ("the type in capitals", {"dtype": "FLOAT32"}),
        ("no output name", {"output": ""}),
        ("output name of 65", {"output": "x" * 65}),
        ("no feature space", {"feature_space": ""}),
        ("feature space of 129", {"feature_space": "x" * 129}),
        ("feature space null", {"feature_space": None}),
        ("tokenizer by name", {"tokenizer": "bert"}),
        ("length 2", {"max_sequence_length": 2}),
        ("length 513", {"max_sequence_length": 513}),
    ]
    return vectors(
        "Feature contracts: what a head needs from a base",
        {"Good": "a contract", "Missing": "a field is missing", "Wrong": "a field has no meaning"},
        [
            _good("as published", GOOD),
            _good("smallest", {**GOOD, "shape": [1], "max_sequence_length": 3, "output": "f", "feature_space": "s"}),
            _good("largest", {**GOOD, "shape": [65536], "max_sequence_length": 512}),
            _good("an unknown field is ignored", {**GOOD, "later": {"a": [1]}}, GOOD),
            *(
                {
                    "comment": f"without {name}",
                    "flags": ["Missing"],
                    "json": json.dumps(without(GOOD, name)),
                    "valid": False,
                }
                for name in GOOD
            ),
            *(
                {"comment": comment, "flags": ["Wrong"], "json": json.dumps({**GOOD, **change}), "valid": False}
                for comment, change in changes
            ),
        ],
    )
