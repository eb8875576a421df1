"""Compressed weights as coremltools writes them: decompressed exactly, and close to the original in the int8 mode."""

from __future__ import annotations

import contextlib
import io
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from headway.coreml.mlprogram import ProgramOptions, compile_program
from headway.coreml.mlprogram.artefact import WEIGHTS
from headway.coreml.mlprogram.blob import _PART, unpack_bits
from headway.coreml.mlprogram.constants import quantise_rows

from .mil_programs import coremltools, save_program

ct = coremltools()
import coremltools.optimize as cto
from coremltools.converters.mil import Builder as mb

RNG = np.random.default_rng(3)
TABLE = RNG.standard_normal((64, 32)).astype(np.float32)
WEIGHT = RNG.standard_normal((48, 32)).astype(np.float32)
BIAS = RNG.standard_normal(48).astype(np.float32)
SECOND = RNG.standard_normal((8, 48)).astype(np.float32)
IDS = RNG.integers(0, 64, (3, 1, 6)).astype(np.int32)


def _body(x: Any) -> Any:
    hidden = mb.linear(x=mb.gather(x=TABLE, indices=x, axis=0), weight=WEIGHT, bias=BIAS)
    return mb.linear(x=mb.relu(x=hidden), weight=SECOND)


def _affine(mode: str, dtype: str = "int8", **more: Any) -> Any:
    config = cto.coreml.OpLinearQuantizerConfig(mode=mode, dtype=dtype, weight_threshold=100, **more)
    return lambda model: cto.coreml.linear_quantize_weights(model, _global(config))


def _palette(bits: int, mode: str = "kmeans", **more: Any) -> Any:
    config = cto.coreml.OpPalettizerConfig(mode=mode, nbits=bits, weight_threshold=100, **more)
    return lambda model: cto.coreml.palettize_weights(model, _global(config))


def _pruned() -> Any:
    config = cto.coreml.OpMagnitudePrunerConfig(target_sparsity=0.6, weight_threshold=100)
    return lambda model: cto.coreml.prune_weights(model, _global(config))


def _global(config: Any) -> Any:
    return cto.coreml.OptimizationConfig(global_config=config)


def _both(first: Any, config: Any) -> Any:
    return lambda model: config(first(model))


COMPRESSIONS: dict[str, tuple[str, Any]] = {
    "int8_symmetric": ("iOS16", _affine("linear_symmetric")),
    "int8_asymmetric": ("iOS16", _affine("linear")),
    "uint8": ("iOS16", _affine("linear", dtype="uint8")),
    "palette_8": ("iOS16", _palette(8, "uniform")),
    "palette_6": ("iOS16", _palette(6, "uniform")),
    "palette_4": ("iOS16", _palette(4)),
    "palette_2": ("iOS16", _palette(2)),
    "palette_1": ("iOS16", _palette(1)),
    "sparse": ("iOS16", _pruned()),
    "ios18_int8": ("iOS18", _affine("linear_symmetric")),
    "ios18_int8_per_tensor": ("iOS18", _affine("linear_symmetric", granularity="per_tensor")),
    "ios18_int4_blocks": ("iOS18", _affine("linear_symmetric", dtype="int4", granularity="per_block", block_size=16)),
    "ios18_uint4_blocks": ("iOS18", _affine("linear", dtype="uint4", granularity="per_block", block_size=8)),
    "ios18_palette_3": ("iOS18", _palette(3)),
    "ios18_palette_4_grouped": ("iOS18", _palette(4, granularity="per_grouped_channel", group_size=8)),
    "ios18_palette_scaled": ("iOS18", _palette(4, enable_per_channel_scale=True)),
    "ios18_palette_vectors": ("iOS18", _palette(4, cluster_dim=4)),
    "ios18_sparse": ("iOS18", _pruned()),
}
JOINT = {
    "ios18_sparse_int8": cto.coreml.OpLinearQuantizerConfig(mode="linear_symmetric", weight_threshold=100),
    "ios18_sparse_palette": cto.coreml.OpPalettizerConfig(mode="kmeans", nbits=4, weight_threshold=100),
}


def _quiet() -> Any:
    return contextlib.redirect_stderr(io.StringIO())


@pytest.fixture(scope="module")
def packages(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("plain")
    return {
        target: save_program(_body, {"x": IDS[0]}, folder / f"{target}.mlpackage", target)
        for target in ("iOS16", "iOS18")
    }


def _compressed(name: str, packages: dict[str, Path]) -> Any:
    with _quiet():
        if name in COMPRESSIONS:
            target, compress = COMPRESSIONS[name]
            return compress(ct.models.MLModel(str(packages[target]), skip_model_load=True))
        pruned = _pruned()(ct.models.MLModel(str(packages["iOS18"]), skip_model_load=True))
        joint = cto.coreml.linear_quantize_weights if "int8" in name else cto.coreml.palettize_weights
        return joint(pruned, _global(JOINT[name]), joint_compression=True)


def _uncompressed_answer(model: Any, folder: Path) -> np.ndarray:
    """The oracle: coremltools decompresses the package, and the plain package is run."""
    with _quiet():
        plain = cto.coreml.decompress_weights(model)
        plain.save(str(folder / "plain.mlpackage"))
    return _run(folder / "plain.mlpackage", ProgramOptions(threads=1, use_cache=False))


def _run(path: Path, options: ProgramOptions) -> np.ndarray:
    (result,) = compile_program(path, options).predict({"x": IDS}).values()
    return result


@pytest.mark.parametrize("name", [*COMPRESSIONS, *JOINT])
def test_compressed_package_equals_its_decompression(name: str, packages: dict[str, Path], tmp_path: Path) -> None:
    model = _compressed(name, packages)
    model.save(str(tmp_path / "small.mlpackage"))
    kinds = {op.type for op in _operations(model)}
    assert any(kind.startswith("constexpr_") for kind in kinds)

    wanted = _uncompressed_answer(model, tmp_path)
    found = _run(tmp_path / "small.mlpackage", ProgramOptions(threads=1, use_cache=False))
    np.testing.assert_allclose(found, wanted, rtol=2e-6, atol=5e-5)

    fast = _run(tmp_path / "small.mlpackage", ProgramOptions(compute="int8", threads=1, use_cache=False))
    assert np.abs(fast - wanted).max() < 0.03 * np.abs(wanted).max()


@pytest.mark.parametrize("name", ["int8_symmetric", "palette_6", "palette_4", "ios18_int8", "ios18_palette_3"])
def test_of_a_compressed_table_that_rows_are_read_from_a_byte_a_value_is_held(
    name: str, packages: dict[str, Path], tmp_path: Path
) -> None:
    _compressed(name, packages).save(str(tmp_path / "small.mlpackage"))
    held = {}
    for kind, path in (("plain", packages[COMPRESSIONS[name][0]]), ("small", tmp_path / "small.mlpackage")):
        compile_program(path, ProgramOptions(threads=1, cache_dir=tmp_path / kind))
        held[kind] = sum(file.stat().st_size for file in (tmp_path / kind).rglob(WEIGHTS))
    assert held["plain"] - held["small"] > 2 * TABLE.size, "floats have four bytes, of which three are saved"


def test_weights_stored_in_half_precision_are_widened(tmp_path: Path) -> None:
    """``constexpr_cast``, the one form that none of the compressors above writes."""
    half = SECOND[:, :32].astype(np.float16)

    def body(x: Any) -> Any:
        weight = mb.constexpr_cast(source_val=half, output_dtype="fp32")
        return mb.matmul(x=x, y=weight, transpose_y=True)

    x = RNG.standard_normal((1, 32)).astype(np.float32)
    path = save_program(body, {"x": x}, tmp_path / "half.mlpackage", "iOS16")
    model = ct.models.MLModel(str(path), skip_model_load=True)
    assert "constexpr_cast" in {op.type for op in _operations(model)}
    (found,) = compile_program(path, ProgramOptions(threads=1, use_cache=False)).predict({"x": x}).values()
    np.testing.assert_allclose(found, x @ half.astype(np.float32).T, rtol=1e-5, atol=1e-5)


def _operations(model: Any) -> list[Any]:
    function = model.get_spec().mlProgram.functions["main"]
    return list(function.block_specializations[function.opset].operations)


@pytest.mark.parametrize("shape", [(64, 32), (64, 8), (64, 33), (16, 16, 8), (16, 16, 7)])
@pytest.mark.parametrize("batched", [True, False])
def test_rows_of_a_palette_are_looked_up_in_pairs_and_singly(
    shape: tuple[int, ...], batched: bool, tmp_path: Path
) -> None:
    codes = RNG.integers(0, 4, shape)
    entries = RNG.standard_normal(4).astype(np.float32)
    packed = np.packbits(
        np.unpackbits(codes.astype(np.uint8).reshape(-1, 1), axis=1, bitorder="little")[:, :2], bitorder="little"
    )
    fixed = np.array([3, 0, 15], np.int32)

    def body(x: Any) -> Any:
        table = mb.constexpr_lut_to_dense(indices=packed, lut=entries, shape=np.array(shape, np.uint32))
        if batched:
            return mb.gather(x=table, indices=x, axis=0)
        return mb.mul(x=mb.gather(x=table, indices=fixed, axis=0), y=mb.cast(x=x, dtype="fp32"))

    x = np.array([5, 1, 5], np.int32) if batched else np.ones((1,), np.int32)
    path = save_program(body, {"x": x}, tmp_path / "palette.mlpackage", "iOS16")
    (found,) = compile_program(path, ProgramOptions(threads=1, use_cache=False)).predict({"x": x[None]}).values()
    np.testing.assert_array_equal(found[0], entries[codes][x if batched else fixed])


@settings(max_examples=100, deadline=None)
@given(bits=st.integers(1, 8), signed=st.booleans(), values=st.lists(st.integers(0, 255), min_size=1, max_size=40))
def test_unpacking_is_the_inverse_of_packing(bits: int, signed: bool, values: list[int]) -> None:
    low = -(1 << (bits - 1)) if signed else 0
    wanted = [low + value % (1 << bits) for value in values]
    number = sum((value & ((1 << bits) - 1)) << (bits * place) for place, value in enumerate(wanted))
    packed = np.frombuffer(number.to_bytes((bits * len(wanted) + 7) // 8, "little"), np.uint8)
    assert unpack_bits(packed, bits, len(wanted), signed=signed).tolist() == wanted


@pytest.mark.parametrize("bits", [3, 6])
def test_unpacking_goes_on_where_a_part_ends(bits: int) -> None:
    wanted = RNG.integers(0, 1 << bits, 2 * _PART + 5).astype(np.uint8)
    flags = np.unpackbits(wanted[:, None], axis=1, bitorder="little")[:, :bits]
    assert np.array_equal(unpack_bits(np.packbits(flags, bitorder="little"), bits, wanted.size), wanted)


def test_quantised_rows_are_within_half_a_step() -> None:
    values = np.vstack([WEIGHT, np.zeros(32, np.float32)])
    codes, scale = quantise_rows(values)
    assert codes.dtype == np.int8
    assert (np.abs(codes * scale[:, None] - values) <= scale[:, None] * 0.5001).all()
