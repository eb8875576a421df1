"""Proofs and what they must show."""

from __future__ import annotations

import json

from form import Case, Json, canonical, digest, vectors, without

GOOD: dict[str, object] = {
    "schema": 1,
    "head": digest("head 17"),
    "base": digest("base"),
    "golden": digest("golden"),
    "contract": digest("contract"),
    "rows": 64,
    "feature_deviation_micro": 12,
    "probability_deviation_micro": 3,
    "agreement_permyriad": 10_000,
    "accuracy_permyriad": 9687,
    "finite": True,
    "runtime": "headway-coreml 0.1 (onnxruntime 1.23)",
}


def _assessed(comment: str, change: dict[str, object], reasons: list[str]) -> Case:
    value = {**GOOD, **change}
    form = canonical(value)
    return {
        "comment": comment,
        "flags": ["Assessed"],
        "json": json.dumps(value),
        "valid": True,
        "canonical": form,
        "digest": digest(form),
        "reasons": reasons,
    }


def _bad(comment: str, value: dict[str, object]) -> Case:
    return {"comment": comment, "flags": ["Malformed"], "json": json.dumps(value), "valid": False}


def build() -> Json:
    """``Proof`` and ``assess`` under the default policy."""
    nan = "the model gave NaN or infinity"
    few = "the golden batch has 7 rows, fewer than 8"
    features = "features deviate by 0.020001, more than 0.020000"
    probabilities = "probabilities deviate by 1.000000, more than 0.010000"
    labels = "only 98.05 % of labels agree with the golden batch"
    worst = {
        "finite": False,
        "rows": 7,
        "feature_deviation_micro": 20_001,
        "probability_deviation_micro": 1_000_000,
        "agreement_permyriad": 9805,
    }
    wrong: list[tuple[str, dict[str, object]]] = [
        ("a newer schema", {"schema": 2}),
        ("no rows", {"rows": 0}),
        ("a negative deviation", {"feature_deviation_micro": -1}),
        ("a deviation as fraction", {"probability_deviation_micro": 0.5}),
        ("more agreement than all", {"agreement_permyriad": 10_001}),
        ("more accuracy than all", {"accuracy_permyriad": 10_001}),
        ("finite as number", {"finite": 1}),
        ("finite null", {"finite": None}),
        ("no runtime", {"runtime": ""}),
        ("a head that is no digest", {"head": "topic@17"}),
    ]
    return vectors(
        "Proofs: a head's golden batch run through actual files, and whether that is good enough",
        {"Assessed": "a proof and every reason against it", "Malformed": "no proof"},
        [
            _assessed("good", {}, []),
            _assessed(
                "exactly at every limit",
                {"rows": 8, "feature_deviation_micro": 20_000, "probability_deviation_micro": 10_000},
                [],
            ),
            _assessed("accuracy is told, not judged", {"accuracy_permyriad": 0}, []),
            _assessed("NaN", {"finite": False}, [nan]),
            _assessed("too few rows", {"rows": 7}, [few]),
            _assessed("features deviate", {"feature_deviation_micro": 20_001}, [features]),
            _assessed("probabilities deviate", {"probability_deviation_micro": 1_000_000}, [probabilities]),
            _assessed("labels disagree", {"agreement_permyriad": 9805}, [labels]),
            _assessed(
                "no label agrees", {"agreement_permyriad": 0}, ["only 0.00 % of labels agree with the golden batch"]
            ),
            _assessed(
                "a deviation of many digits",
                {"feature_deviation_micro": 2**53 - 1},
                ["features deviate by 9007199254.740991, more than 0.020000"],
            ),
            _assessed("everything", worst, [nan, few, features, probabilities, labels]),
            *(_bad(f"without {n}", without(GOOD, n)) for n in GOOD),
            *(_bad(c, {**GOOD, **change}) for c, change in wrong),
        ],
    )
