"""Merging by weights, in Python, over the vectors that Swift runs too."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("coremltools", reason="the extra `sim` is not installed")

from headway.contract.errors import HeadwayError
from headway.coreml.head import head_weights, with_head_weights
from headway.coreml.model import MLModel
from headway.device.rebase import Labelled, can_keep, merged

FILE = Path(__file__).resolve().parents[2] / "ios_fixtures" / "vectors" / "head_merge.json"
CASES = json.loads(FILE.read_text())["cases"]


def of(flag: str) -> pytest.MarkDecorator:
    chosen = [case for case in CASES if flag in case["flags"] and "Strict" not in case["flags"]]
    return pytest.mark.parametrize("case", chosen, ids=[case["comment"] for case in chosen])


@of("Merge")
def test_merge(case: dict[str, Any], tmp_path: Path) -> None:
    def head(role: str) -> Labelled:
        path = tmp_path / f"{role}.mlmodel"
        path.write_bytes(bytes.fromhex(case[role]["spec_hex"]))
        return Labelled(MLModel(path), tuple(case[role]["labels"]))

    release, personal, old = head("release"), head("personal"), head("old")
    found = {str(alpha): model.spec_bytes for alpha, model in merged(release, personal, old)}
    assert found[case["alpha"]].hex() == case["merged_hex"]
    assert can_keep(personal, release) is case["can_keep"]
    data = bytes.fromhex(case["release"]["spec_hex"])
    assert with_head_weights(data, head_weights(data)) == data


@of("Broken")
def test_broken_specifications(case: dict[str, Any]) -> None:
    with pytest.raises(HeadwayError):
        head_weights(bytes.fromhex(case["spec_hex"]))
