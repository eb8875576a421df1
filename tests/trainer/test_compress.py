"""Compression: palettes, the mixed plan, and packages that hold what was asked for."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

torch = pytest.importorskip("torch", reason="training needs the extra trainer")
pytest.importorskip("transformers", reason="training needs the extra trainer")
pytest.importorskip("coremltools", reason="exporting needs the extra sim")

from headway.coreml.mlprogram import ProgramOptions, compile_program
from headway.coreml.package import read_package
from headway_trainer.compress import Bits, Matrix, bits_of, mean_bits, mixed
from headway_trainer.export.compressed import FloatProgram, with_matrix
from headway_trainer.export.palette import palette, rounded
from headway_trainer.models.student import PAD_EMBEDDING, Student, StudentConfig

TINY = StudentConfig(
    layers=1, hidden=64, bottleneck=48, embedding=32, intermediate=64, heads=2, feedforwards=2, max_length=12
)


@pytest.mark.parametrize("bits", [4, 6])
def test_a_palette_is_better_than_even_steps(bits: int) -> None:
    weight = np.random.default_rng(0).standard_t(5, (60, 70)).astype(np.float32)
    table, indices = palette(weight, bits)
    assert table.dtype == np.float32
    assert len(table) == 2**bits
    assert indices.max() < 2**bits
    even = np.linspace(weight.min(), weight.max(), 2**bits, dtype=np.float32)
    nearest = even[np.abs(weight.reshape(-1, 1) - even).argmin(1)].reshape(weight.shape)
    found = np.square(rounded(weight, bits) - weight).mean()
    assert found < 0.6 * np.square(nearest - weight).mean()
    given_back = table[np.abs(weight.reshape(-1, 1) - table).argmin(1)]
    assert np.abs(given_back - weight.reshape(-1)).sum() == pytest.approx(np.abs(rounded(weight, bits) - weight).sum())


def test_a_palette_of_few_values_is_exact() -> None:
    weight = np.array([[0.5, -1.0], [0.25, 0.5]], dtype=np.float32)
    assert np.array_equal(rounded(weight, 4), weight)
    assert np.array_equal(rounded(np.zeros((3, 3), np.float32), 4), np.zeros((3, 3), np.float32))


def test_the_mixed_plan_lowers_what_does_least_harm_per_byte() -> None:
    matrices = [Matrix("a", 10_000, 100), Matrix("b", 10_000, 100), Matrix("c", 40_000, 400)]
    harm: dict[tuple[str, Bits], float] = {
        ("a", 6): 0.1,
        ("a", 4): 0.9,
        ("b", 6): 0.5,
        ("b", 4): 0.6,
        ("c", 6): 0.2,
        ("c", 4): 9.0,
    }
    whole = sum(matrix.size(8) for matrix in matrices)
    assert mixed(matrices, harm, whole) == {"a": 8, "b": 8, "c": 8}
    assert mixed(matrices, harm, whole - 1) == {"a": 8, "b": 8, "c": 6}, "0.2 for four times the bytes of a's 0.1"
    assert mixed(matrices, harm, 0) == {"a": 4, "b": 4, "c": 4}
    assert mean_bits(matrices, {"a": 8, "b": 8, "c": 4}) == pytest.approx((2 * 8 + 4 * 4) / 6)


@settings(max_examples=50, deadline=None)
@given(
    st.lists(st.tuples(st.integers(2049, 10**6), st.floats(0, 1), st.floats(0, 1)), min_size=1, max_size=8),
    st.floats(0.3, 1.1),
)
def test_the_mixed_plan_fits_its_budget(entries: list[tuple[int, float, float]], share: float) -> None:
    matrices = [Matrix(f"m{i}", size, 1 + size // 500) for i, (size, _, _) in enumerate(entries)]
    harm: dict[tuple[str, Bits], float] = {}
    for matrix, (_, one, more) in zip(matrices, entries, strict=True):
        harm[matrix.name, 6], harm[matrix.name, 4] = one, one + more
    bits = bits_of("mixed", matrices, harm, share)
    size = sum(matrix.size(bits[matrix.name]) for matrix in matrices)
    assert size <= share * sum(matrix.size(8) for matrix in matrices) or set(bits.values()) == {4}


@pytest.fixture(scope="module")
def program() -> FloatProgram:
    torch.manual_seed(0)
    return FloatProgram(Student(TINY, 3, 300, 0))


def features(source: object) -> np.ndarray:
    compiled = compile_program(source, ProgramOptions(use_cache=False))  # type: ignore[arg-type]
    ids = np.random.default_rng(0).integers(1, 300, (4, 1, 12)).astype(np.int32)
    return compiled.predict({"input_ids": ids, "attention_mask": np.ones_like(ids)})["features"]


def test_packages_hold_what_was_asked_for_and_run(program: FloatProgram, tmp_path: Path) -> None:
    names = [matrix.name for matrix in program.matrices]
    plans: dict[str, dict[str, Bits]] = {
        "8": dict.fromkeys(names, 8),
        "4": dict.fromkeys(names, 4),
        "mixed": {name: (8, 6, 4)[index % 3] for index, name in enumerate(names)},
    }
    sizes = {plan: program.export(bits, tmp_path / f"{plan}.mlpackage").size_bytes for plan, bits in plans.items()}
    assert sizes["4"] < sizes["mixed"] < sizes["8"]
    program.save(tmp_path / "float.mlpackage")
    exact = features(tmp_path / "float.mlpackage")
    moved = {plan: float(np.abs(features(tmp_path / f"{plan}.mlpackage") - exact).max()) for plan in plans}
    assert 0 < moved["8"] < moved["4"]


def test_a_student_that_holds_the_palettes_computes_the_package_whatever_became_of_padding(
    program: FloatProgram, tmp_path: Path
) -> None:
    bits: dict[str, Bits] = {matrix.name: 4 for matrix in program.matrices}
    program.export(bits, tmp_path / "4.mlpackage")
    held, _ = program.holding(bits)
    pad = held.backbone.embeddings.word_embeddings.weight[0].detach()
    assert float(pad.abs().min()) > 100 * PAD_EMBEDDING, "the table has no entry so near to nothing"
    ids = np.random.default_rng(1).integers(1, 300, (4, 7)).astype(np.int32)
    padded = np.pad(ids, ((0, 0), (0, 5)))
    compiled = compile_program(tmp_path / "4.mlpackage", ProgramOptions(use_cache=False))
    given = {"input_ids": padded[:, None], "attention_mask": (padded > 0).astype(np.int32)[:, None]}
    with torch.no_grad():
        alone = held(torch.from_numpy(ids), torch.ones(ids.shape, dtype=torch.int32)).features.numpy()
    np.testing.assert_allclose(compiled.predict(given)["features"], alone, atol=1e-5)


def test_one_matrix_can_be_tried_alone(program: FloatProgram, tmp_path: Path) -> None:
    program.save(tmp_path / "float.mlpackage")
    package = read_package(tmp_path / "float.mlpackage")
    name, weight = next(iter(program.weights.items()))
    assert np.array_equal(features(with_matrix(package, weight, weight)), features(package))
    assert not np.array_equal(features(with_matrix(package, weight, rounded(weight, 4))), features(package))
    assert name in {matrix.name for matrix in program.matrices}
