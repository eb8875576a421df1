"""Golden batches read strictly; proofs that hold, and what each kind of mismatch shows."""

from __future__ import annotations

import dataclasses
import json
import struct
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from headway.contract.digests import digest_of
from headway.contract.errors import HeadwayError, IncompatibleError, RefusedError
from headway.contract.features import FeatureContract
from headway.contract.proof import NotProven, Proven, assess
from headway.coreml import HeadLayout, build_head, initial_weights
from headway.coreml.golden import HeadGolden, read_base_golden, read_head_golden, write_golden
from headway.coreml.proof import SAME_RUNTIME_TOLERANCE_MICRO, check_base, prove, read_labels

from .tiny_release import LABELS, OPTIONS, TEXTS, WIDTH, write_base, write_head


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_base(tmp_path_factory.mktemp("base"))


@pytest.fixture(scope="module")
def head(base: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_head(tmp_path_factory.mktemp("head"), base)


def _prove(base: Path, head: Path, golden: Path | None = None, model: Path | None = None):  # type: ignore[no-untyped-def]
    return prove(
        base / "base.mlpackage",
        model or head / "head.mlmodel",
        golden or head / "golden.safetensors",
        head / "labels.json",
        options=OPTIONS,
    )


def _with(head: Path, folder: Path, **changes: np.ndarray) -> Path:
    golden = read_head_golden(head / "golden.safetensors")
    path = folder / "golden.safetensors"
    path.write_bytes(write_golden(dataclasses.replace(golden, **changes)))
    return path


def test_a_true_head_is_proven(base: Path, head: Path) -> None:
    proof = _prove(base, head)
    assert assess(proof) == Proven()
    assert proof.rows == len(TEXTS)
    assert proof.feature_deviation_micro <= SAME_RUNTIME_TOLERANCE_MICRO
    assert (proof.agreement_permyriad, proof.accuracy_permyriad, proof.finite) == (10_000, 10_000, True)
    assert proof.golden == digest_of((head / "golden.safetensors").read_bytes())
    assert proof.head == digest_of((head / "head.mlmodel").read_bytes())
    assert proof.contract == FeatureContract.from_bytes((base / "contract.json").read_bytes()).digest
    assert proof == _prove(base, head)


def test_another_base_is_not_proven(head: Path, tmp_path: Path) -> None:
    other = write_base(tmp_path / "other", seed=7)
    verdict = assess(_prove(other, head))
    assert isinstance(verdict, NotProven)
    assert "features deviate" in verdict.reasons[0]


def test_another_head_is_not_proven(base: Path, head: Path, tmp_path: Path) -> None:
    layout = HeadLayout(features=WIDTH, classes=len(LABELS))
    (tmp_path / "head.mlmodel").write_bytes(build_head(layout, initial_weights(layout, 99)))
    proof = _prove(base, head, model=tmp_path / "head.mlmodel")
    assert proof.feature_deviation_micro <= SAME_RUNTIME_TOLERANCE_MICRO
    assert isinstance(assess(proof), NotProven)


def test_a_head_that_overflows_is_not_finite(base: Path, head: Path, tmp_path: Path) -> None:
    layout = HeadLayout(features=WIDTH, classes=len(LABELS))
    weights = initial_weights(layout, 1)
    weights["dense_0.weights"] = np.full((len(LABELS), WIDTH), 3e38, np.float32)
    (tmp_path / "head.mlmodel").write_bytes(build_head(layout, weights))
    proof = _prove(base, head, model=tmp_path / "head.mlmodel")
    assert not proof.finite
    assert isinstance(assess(proof), NotProven)


def test_wrong_labels_lower_accuracy_only(base: Path, head: Path, tmp_path: Path) -> None:
    labels = read_head_golden(head / "golden.safetensors").labels
    changed = labels.copy()
    changed[:3] = (changed[:3] + 1) % len(LABELS)
    proof = _prove(base, head, golden=_with(head, tmp_path, labels=changed))
    assert (proof.agreement_permyriad, proof.accuracy_permyriad) == (10_000, 7_500)


def test_a_label_list_of_another_length_is_refused(base: Path, head: Path) -> None:
    with pytest.raises(RefusedError, match="label list 2"):
        prove(
            base / "base.mlpackage",
            head / "head.mlmodel",
            head / "golden.safetensors",
            ("film", "music"),
            options=OPTIONS,
        )


def test_a_head_of_another_width_is_incompatible(base: Path, head: Path, tmp_path: Path) -> None:
    layout = HeadLayout(features=WIDTH + 1, classes=len(LABELS))
    (tmp_path / "head.mlmodel").write_bytes(build_head(layout, initial_weights(layout, 1)))
    with pytest.raises(IncompatibleError) as caught:
        _prove(base, head, model=tmp_path / "head.mlmodel")
    assert caught.value.code == "contract_mismatch"


def test_a_contract_of_another_base_is_incompatible(base: Path, head: Path) -> None:
    contract = FeatureContract.from_bytes((base / "contract.json").read_bytes())
    with pytest.raises(IncompatibleError):
        prove(
            base / "base.mlpackage",
            head / "head.mlmodel",
            head / "golden.safetensors",
            LABELS,
            dataclasses.replace(contract, output="other"),
            OPTIONS,
        )


def test_a_base_meets_its_own_golden_batch(base: Path) -> None:
    found = check_base(base / "base.mlpackage", base / "golden.safetensors", options=OPTIONS)
    assert found.rows == len(TEXTS)
    assert found.finite
    assert found.feature_deviation_micro <= SAME_RUNTIME_TOLERANCE_MICRO


@pytest.mark.parametrize("content", ['["a"]', '["a", "a"]', '["a", 1]', '{"a": 1}', "[", '["a", ""]', "[" * 100_000])
def test_label_lists_that_are_none(tmp_path: Path, content: str) -> None:
    (tmp_path / "labels.json").write_text(content)
    with pytest.raises(RefusedError) as caught:
        read_labels(tmp_path / "labels.json")
    assert caught.value.code in ("labels", "too_large")


class TestGolden:
    def test_round_trip(self, head: Path) -> None:
        golden = read_head_golden(head / "golden.safetensors")
        again = read_head_golden(write_golden(golden))
        for field in dataclasses.fields(HeadGolden):
            np.testing.assert_array_equal(getattr(again, field.name), getattr(golden, field.name))

    def test_a_base_golden_is_no_head_golden(self, base: Path) -> None:
        read_base_golden(base / "golden.safetensors")
        with pytest.raises(RefusedError, match="expected"):
            read_head_golden(base / "golden.safetensors")

    @pytest.mark.parametrize(
        "changes",
        [
            {"labels": np.zeros((12, 1), np.int32)},
            {"labels": np.full(12, 3, np.int32)},
            {"labels": np.zeros(11, np.int32)},
            {"features": np.full((12, WIDTH), np.nan, np.float32)},
            {"features": np.zeros((12, WIDTH), np.float64)},
            {"attention_mask": np.full((12, 12), 2, np.int32)},
            {"attention_mask": np.ones((12, 11), np.int32)},
            {"probabilities": np.zeros((12, 0), np.float32)},
        ],
    )
    def test_what_does_not_fit_is_refused(self, head: Path, changes: dict[str, np.ndarray]) -> None:
        from safetensors.numpy import save

        golden = read_head_golden(head / "golden.safetensors")
        tensors = {f.name: getattr(golden, f.name) for f in dataclasses.fields(HeadGolden)}
        with pytest.raises(RefusedError) as caught:
            read_head_golden(save({**tensors, **changes}))
        assert caught.value.code == "golden"

    def test_a_huge_declared_tensor_is_refused(self) -> None:
        header = {"features": {"dtype": "F32", "shape": [1 << 40, 1 << 20], "data_offsets": [0, 4]}}
        raw = json.dumps(header).encode()
        with pytest.raises(RefusedError):
            read_base_golden(struct.pack("<Q", len(raw)) + raw + b"\0\0\0\0")

    @settings(max_examples=60, deadline=None)
    @given(data=st.data())
    def test_damaged_bytes_give_only_our_errors(self, head: Path, data: st.DataObject) -> None:
        raw = bytearray((head / "golden.safetensors").read_bytes())
        for _ in range(data.draw(st.integers(1, 4))):
            raw[data.draw(st.integers(0, min(len(raw), 700) - 1))] = data.draw(st.integers(0, 255))
        cut = data.draw(st.integers(0, len(raw)))
        for candidate in (bytes(raw), bytes(raw[:cut])):
            try:
                read_head_golden(candidate)
            except HeadwayError:
                continue
