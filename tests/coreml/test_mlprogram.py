"""Compiling and calling a program: shapes of calls, the cache, float16 rounding, one clear error per wrong thing."""

from __future__ import annotations

import shutil
import struct
import threading
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from headway.contract.errors import HeadwayError, IncompatibleError, RefusedError
from headway.coreml import read_package
from headway.coreml.mlprogram import Program, ProgramOptions, cache, compile_program
from headway.coreml.mlprogram.blob import BlobFile
from headway.coreml.mlprogram.cache import cached
from headway.coreml.mlprogram.dtypes import DTYPES, dtype_of
from headway.coreml.mlprogram.ops import EMITTERS, FOLDERS
from headway.coreml.proto import encode

from .mil_programs import coremltools, save_program

ct = coremltools()
from coremltools.converters.mil import Builder as mb

EXACT = ProgramOptions(threads=1, use_cache=False)
WEIGHT = np.random.default_rng(2).standard_normal((40, 30)).astype(np.float32)
ROW = np.random.default_rng(3).standard_normal((1, 30)).astype(np.float32)


@pytest.fixture(scope="module")
def package(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("dense") / "dense.mlpackage"
    return save_program(lambda x: mb.relu(x=mb.linear(x=x, weight=WEIGHT), name="y"), {"x": ROW}, path)


@pytest.fixture(scope="module")
def program(package: Path) -> Program:
    return compile_program(package, EXACT)


def _answer(rows: np.ndarray) -> np.ndarray:
    return np.maximum(rows @ WEIGHT.T, 0)


class TestCalls:
    def test_one_item(self, program: Program) -> None:
        np.testing.assert_allclose(program.predict({"x": ROW})["y"], _answer(ROW), atol=1e-5)

    def test_a_batch_axis_in_front(self, program: Program) -> None:
        rows = np.stack([ROW, ROW * 2])
        found = program.predict({"x": rows})["y"]
        assert found.shape == (2, 1, 40)
        np.testing.assert_allclose(found, _answer(rows), atol=1e-5)

    def test_a_batch_in_place_of_the_leading_one(self, program: Program) -> None:
        rows = np.concatenate([ROW, ROW * 2, ROW * 3])
        found = program.predict({"x": rows})["y"]
        assert found.shape == (3, 40)
        np.testing.assert_allclose(found, _answer(rows), atol=1e-5)

    def test_further_inputs_are_ignored(self, program: Program) -> None:
        np.testing.assert_array_equal(program.predict({"x": ROW, "z": ROW})["y"], program.predict({"x": ROW})["y"])

    def test_wider_numbers_are_narrowed(self, program: Program) -> None:
        assert program.predict({"x": ROW.astype(np.float64)})["y"].dtype == np.float32

    @pytest.mark.parametrize(
        "inputs",
        [
            {},
            {"z": ROW},
            {"x": ROW[:, :-1]},
            {"x": ROW[None, None]},
            {"x": np.zeros((0, 1, 30), np.float32)},
            {"x": np.array([["a"] * 30])},
            {"x": ROW.astype(np.complex64)},
        ],
    )
    def test_wrong_inputs_are_refused(self, program: Program, inputs: dict[str, Any]) -> None:
        with pytest.raises(RefusedError) as caught:
            program.predict(inputs)
        assert caught.value.code == "input"

    def test_threads_may_share_a_program(self, program: Program) -> None:
        found: list[bool] = []

        def run() -> None:
            found.append(np.allclose(program.predict({"x": ROW})["y"], _answer(ROW), atol=1e-5))

        threads = [threading.Thread(target=run) for _ in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert found == [True] * 8


def test_mixed_batch_sizes_are_refused(tmp_path: Path) -> None:
    path = save_program(lambda x, y: mb.add(x=x, y=y), {"x": ROW, "y": ROW}, tmp_path / "add.mlpackage")
    program = compile_program(path, EXACT)
    with pytest.raises(RefusedError, match="different numbers"):
        program.predict({"x": np.stack([ROW] * 2), "y": np.stack([ROW] * 3)})
    with pytest.raises(RefusedError, match="different numbers"):
        program.predict({"x": ROW, "y": np.stack([ROW] * 3)})


def test_a_constant_result_is_repeated_for_each_item(tmp_path: Path) -> None:
    path = save_program(
        lambda x: (mb.relu(x=x, name="a"), mb.gather(x=WEIGHT, indices=[1, 2], axis=0, name="b")),
        {"x": ROW},
        tmp_path / "constant.mlpackage",
    )
    found = compile_program(path, EXACT).predict({"x": np.stack([ROW, ROW])})["b"]
    np.testing.assert_array_equal(found, np.stack([WEIGHT[1:3]] * 2))


def test_an_open_shape_runs_item_by_item(tmp_path: Path) -> None:
    torch = pytest.importorskip("torch")
    module = torch.nn.Sequential(torch.nn.Linear(5, 4), torch.nn.Tanh(), torch.nn.Linear(4, 2)).eval()
    traced = torch.jit.trace(module, torch.zeros(1, 3, 5))
    shape = ct.Shape((1, ct.RangeDim(1, 9, default=3), 5))
    model = ct.convert(
        traced,
        inputs=[ct.TensorType("x", shape)],
        outputs=[ct.TensorType("y")],
        compute_precision=ct.precision.FLOAT32,
        minimum_deployment_target=ct.target.iOS16,
        skip_model_load=True,
    )
    model.save(str(tmp_path / "open.mlpackage"))
    program = compile_program(tmp_path / "open.mlpackage", EXACT)
    assert not program.batched
    for length in (1, 4, 9):
        rows = torch.randn(3, 1, length, 5)
        wanted = module(rows).detach().numpy()
        np.testing.assert_allclose(program.predict({"x": rows.numpy()})["y"], wanted, atol=1e-5)
        np.testing.assert_allclose(program.predict({"x": rows[0].numpy()})["y"], wanted[0], atol=1e-5)


def test_float16_mode_overflows_where_float32_does_not(tmp_path: Path) -> None:
    def body(x: Any) -> Any:
        half = mb.cast(x=x, dtype="fp16")
        square = mb.mul(x=half, y=half)
        return mb.cast(x=mb.real_div(x=square, y=half), dtype="fp32", name="y")

    path = save_program(body, {"x": ROW}, tmp_path / "half.mlpackage", "iOS16")
    values = np.full_like(ROW, 300)
    np.testing.assert_array_equal(compile_program(path, EXACT).predict({"x": values})["y"], values)
    half = compile_program(path, ProgramOptions("float16", threads=1, use_cache=False))
    assert np.isinf(half.predict({"x": values})["y"]).all()
    tenth = np.full_like(ROW, 0.1)
    found = half.predict({"x": tenth})["y"]
    np.testing.assert_array_equal(found, np.float32(np.float16(np.float16(0.1) ** 2) / np.float16(0.1)) + 0 * found)


class TestErrors:
    def test_an_unknown_operation_is_named(self, tmp_path: Path) -> None:
        path = save_program(
            lambda x: mb.random_normal(shape=[2, 3], name="noise"), {"x": ROW}, tmp_path / "random.mlpackage"
        )
        with pytest.raises(IncompatibleError) as caught:
            compile_program(path, EXACT)
        assert caught.value.code == "unknown_op"
        assert caught.value.data == {"op": "random_normal", "output": "noise"}
        assert "random_normal" in caught.value.message
        assert "noise" in caught.value.message

    def test_control_flow_is_named(self, tmp_path: Path) -> None:
        def body(x: Any) -> Any:
            positive = mb.squeeze(x=mb.greater(x=mb.reduce_sum(x=x), y=0.0))
            return mb.cond(pred=positive, _true_fn=lambda: mb.relu(x=x), _false_fn=lambda: mb.abs(x=x))

        path = save_program(body, {"x": ROW}, tmp_path / "cond.mlpackage")
        with pytest.raises(IncompatibleError, match="control flow"):
            compile_program(path, EXACT)

    def test_unknown_scalar_types_are_named(self) -> None:
        with pytest.raises(IncompatibleError) as caught:
            dtype_of(13)
        assert caught.value.code == "unknown_dtype"

    def test_a_result_of_another_shape_than_declared_is_refused(self, package: Path, tmp_path: Path) -> None:
        def widen(block: Any) -> None:
            for op in block.operations:
                if op.type == "relu":
                    op.outputs[0].type.tensorType.dimensions[1].constant.size = 41

        with pytest.raises(HeadwayError):
            compile_program(_edited(package, tmp_path, widen), EXACT).predict({"x": ROW})

    def test_a_use_before_definition_is_refused(self, package: Path, tmp_path: Path) -> None:
        def rename(block: Any) -> None:
            for op in block.operations:
                if op.type == "relu":
                    op.inputs["x"].arguments[0].name = "nothing"

        with pytest.raises(RefusedError, match="before it is made"):
            compile_program(_edited(package, tmp_path, rename), EXACT)

    def test_an_output_that_nothing_makes_is_refused(self, package: Path, tmp_path: Path) -> None:
        def rename(block: Any) -> None:
            block.outputs[0] = "nothing"

        with pytest.raises(RefusedError, match="output"):
            compile_program(_edited(package, tmp_path, rename), EXACT)


def _edited(package: Path, folder: Path, edit: Any) -> Path:
    """A copy of *package* whose main block *edit* has changed."""
    target = folder / "edited.mlpackage"
    shutil.copytree(package, target)
    spec = read_package(package).spec
    function = spec.mlProgram.functions["main"]
    edit(function.block_specializations[function.opset])
    (target / "Data/com.apple.CoreML/model.mlmodel").write_bytes(encode(spec))
    return target


class TestBlob:
    def _blob(self, **changes: int) -> bytes:
        fields = {"version": 2, "sentinel": 0xDEADBEEF, "code": 2, "size": 8, "offset": 128} | changes
        record = struct.pack("<IIQQQ", fields["sentinel"], fields["code"], fields["size"], fields["offset"], 0)
        return struct.pack("<II", 1, fields["version"]).ljust(64, b"\0") + record.ljust(64, b"\0") + bytes(8)

    def test_a_good_record(self) -> None:
        assert BlobFile("w", self._blob()).read(64, DTYPES[11], 2).tolist() == [0.0, 0.0]

    @pytest.mark.parametrize(
        "changes",
        [
            {"version": 1},
            {"sentinel": 1},
            {"code": 1},
            {"size": 12},
            {"offset": 132},
            {"offset": 130},
            {"size": 1 << 60},
        ],
    )
    def test_a_bad_record_is_refused(self, changes: dict[str, int]) -> None:
        with pytest.raises(RefusedError) as caught:
            BlobFile("w", self._blob(**changes)).read(64, DTYPES[11], 2)
        assert caught.value.code == "weights"

    @pytest.mark.parametrize("offset", [-64, 65, 128, 1 << 62])
    def test_offsets_outside_are_refused(self, offset: int) -> None:
        with pytest.raises(RefusedError):
            BlobFile("w", self._blob()).read(offset, DTYPES[11], 2)


class TestCache:
    def test_a_second_compilation_reads_the_first(self, package: Path, tmp_path: Path) -> None:
        options = ProgramOptions(threads=1, cache_dir=tmp_path)
        first = compile_program(package, options).predict({"x": ROW})["y"]
        (folder,) = tmp_path.iterdir()
        stamps = {f.name: f.stat().st_mtime_ns for f in folder.iterdir()}
        again = compile_program(package, options).predict({"x": ROW})["y"]
        np.testing.assert_array_equal(first, again)
        assert {f.name: f.stat().st_mtime_ns for f in folder.iterdir()} == stamps

    def test_each_mode_has_its_own_entry(self, package: Path, tmp_path: Path) -> None:
        for compute in ("float", "int8"):
            compile_program(package, ProgramOptions(compute=compute, threads=1, cache_dir=tmp_path))
        assert len(list(tmp_path.iterdir())) == 2

    @pytest.mark.parametrize("name", ["model.onnx", "weights.bin", "ports.json"])
    @pytest.mark.parametrize("content", [b"", b"{}", b"[" * 5000])
    def test_a_damaged_entry_is_built_again(self, package: Path, tmp_path: Path, name: str, content: bytes) -> None:
        options = ProgramOptions(threads=1, cache_dir=tmp_path)
        compile_program(package, options)
        (folder,) = tmp_path.iterdir()
        (folder / name).write_bytes(content)
        np.testing.assert_allclose(compile_program(package, options).predict({"x": ROW})["y"], _answer(ROW), atol=1e-5)

    def test_without_a_place_for_the_cache_the_program_runs(self, package: Path, tmp_path: Path) -> None:
        (tmp_path / "file").write_text("not a folder")
        program = compile_program(package, ProgramOptions(threads=1, cache_dir=tmp_path / "file"))
        np.testing.assert_allclose(program.predict({"x": ROW})["y"], _answer(ROW), atol=1e-5)

    def test_a_failed_build_leaves_nothing(self, tmp_path: Path) -> None:
        def fail(folder: Path) -> None:
            (folder / "half").write_text("x")
            raise RuntimeError

        with pytest.raises(RuntimeError):
            cached(tmp_path, "key", fail)
        assert list(tmp_path.iterdir()) == []

    def test_an_entry_without_its_last_file_is_built_again(self, tmp_path: Path) -> None:
        folder = cached(tmp_path, "key", lambda f: (f / "ports.json").write_text("1") and None)
        assert cached(tmp_path, "key", lambda _: pytest.fail("built twice")) == folder
        (folder / "ports.json").unlink()
        assert (cached(tmp_path, "key", lambda f: (f / "ports.json").write_text("2") and None) / "ports.json").is_file()

    def test_two_builders_of_one_key_agree(self, tmp_path: Path) -> None:
        def build(folder: Path) -> None:
            if not (tmp_path / "inner").exists():
                (tmp_path / "inner").touch()
                cached(tmp_path, "key", build)
            (folder / "ports.json").write_text("same")

        assert (cached(tmp_path, "key", build) / "ports.json").read_text() == "same"
        assert not [f for f in tmp_path.iterdir() if f.name.startswith(".new")]

    def test_the_oldest_entries_go_first(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        import os

        monkeypatch.setattr(cache, "CACHE_BUDGET_BYTES", 250)
        kept = []
        for age, key in ((300, "a"), (200, "b"), (100, "c")):
            kept.append(cached(tmp_path, key, lambda f: (f / "ports.json").write_text("x" * 100) and None))
            stamp = kept[-1].stat().st_mtime - age
            os.utime(kept[-1], (stamp, stamp))
        cached(tmp_path, "d", lambda f: (f / "ports.json").write_text("x" * 100) and None)
        assert [folder.exists() for folder in kept] == [False, False, True]


@settings(max_examples=60, deadline=None)
@given(data=st.data())
def test_damaged_specifications_give_only_our_errors(package: Path, data: st.DataObject) -> None:
    raw = bytearray(read_package(package).spec_bytes)
    for _ in range(data.draw(st.integers(1, 3))):
        raw[data.draw(st.integers(0, len(raw) - 1))] = data.draw(st.integers(0, 255))
    import tempfile

    with tempfile.TemporaryDirectory() as folder:
        target = Path(folder) / "damaged.mlpackage"
        shutil.copytree(package, target)
        (target / "Data/com.apple.CoreML/model.mlmodel").write_bytes(bytes(raw))
        try:
            compile_program(target, EXACT).predict({"x": ROW})
        except HeadwayError:
            return


OPS = sorted([*EMITTERS, *FOLDERS])
NUMBERS = st.sampled_from([-1, 0, 1, 2, 3, 7, 64, 2**31 - 1, -(2**31)])


def _disturb(block: Any, data: st.DataObject) -> None:
    """Change one operation: its kind, a constant, a declared shape or type, or what an argument points at."""
    op = data.draw(st.sampled_from(list(block.operations)))
    what = data.draw(st.sampled_from(["kind", "constant", "shape", "type", "argument"]))
    if what == "kind":
        op.type = data.draw(st.sampled_from(OPS))
    elif what == "constant":
        for value in op.attributes.values():
            ints = value.immediateValue.tensor.ints.values
            if value.WhichOneof("value") == "immediateValue" and len(ints):
                ints[data.draw(st.integers(0, len(ints) - 1))] = data.draw(NUMBERS)
    elif what == "shape":
        for dimension in op.outputs[0].type.tensorType.dimensions:
            dimension.constant.size = data.draw(st.sampled_from([0, 1, 3, 30, 2**40]))
    elif what == "type":
        op.outputs[0].type.tensorType.dataType = data.draw(st.sampled_from([1, 2, 10, 11, 13, 21, 23, 25]))
    elif op.inputs:
        key = data.draw(st.sampled_from(sorted(op.inputs)))
        for binding in op.inputs[key].arguments:
            binding.name = data.draw(st.sampled_from(list(block.operations))).outputs[0].name


@settings(max_examples=80, deadline=None)
@given(data=st.data())
def test_disturbed_programs_give_only_our_errors(data: st.DataObject, busy: Path) -> None:
    package = read_package(busy)
    function = package.spec.mlProgram.functions["main"]
    for _ in range(data.draw(st.integers(1, 3))):
        _disturb(function.block_specializations[function.opset], data)
    try:
        program = compile_program(package, EXACT)
        program.predict({port.name: np.ones((2, *port.shape), port.dtype) for port in program.inputs})
    except HeadwayError:
        return


@pytest.fixture(scope="module")
def busy(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A program with many kinds of operations."""

    def body(x: Any) -> Any:
        wide = mb.concat(values=[mb.linear(x=x, weight=WEIGHT), mb.gather(x=WEIGHT, indices=[0], axis=0)], axis=1)
        turned = mb.transpose(x=mb.reshape(x=wide, shape=[1, 7, 10]), perm=[0, 2, 1])
        scores = mb.softmax(x=mb.matmul(x=turned, y=turned, transpose_y=True), axis=-1)
        cut = mb.slice_by_index(x=mb.pad(x=scores, pad=[1, 0]), begin=[0, 0, 1], end=[1, 5, 9])
        return mb.tile(x=mb.reduce_mean(x=mb.layer_norm(x=cut, axes=[-1]), axes=[1]), reps=[1, 2])

    return save_program(body, {"x": ROW}, tmp_path_factory.mktemp("busy") / "busy.mlpackage")
