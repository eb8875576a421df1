"""Float16: what comes near its limit is found and told, and a base that overflows is refused."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="training needs the extra trainer")
pytest.importorskip("transformers", reason="training needs the extra trainer")
pytest.importorskip("coremltools", reason="exporting needs the extra sim")

from headway.contract.errors import RefusedError
from headway.coreml.mlprogram import ProgramOptions, compile_program
from headway.coreml.package import read_package
from headway_trainer.export.base import export_base
from headway_trainer.models.student import MASKED, Student, StudentConfig
from headway_trainer.ranges import LARGEST_HALF, Magnitude, magnitudes, refuse_overflow

TINY = StudentConfig(
    layers=1, hidden=64, bottleneck=48, embedding=32, intermediate=64, heads=2, feedforwards=2, max_length=12
)


def inputs() -> tuple[np.ndarray, np.ndarray]:
    ids = np.random.default_rng(0).integers(1, 300, (6, 12)).astype(np.int32)
    mask = np.ones_like(ids)
    mask[:, 8:] = 0
    return ids, mask


def exported(to: Path, grown: float) -> Path:
    torch.manual_seed(0)
    student = Student(TINY, 3, 300, 0)
    with torch.no_grad():
        # NoNorm multiplies; nothing after it brings large values down again before the pooling.
        student.backbone.encoder.layer[0].output.bottleneck.LayerNorm.weight.mul_(grown)
    export_base(student, to, half=True)
    return to


@pytest.fixture(scope="module")
def packages(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    folder = tmp_path_factory.mktemp("half")
    return exported(folder / "calm.mlpackage", 1.0), exported(folder / "wild.mlpackage", 1e6)


def test_a_calm_base_is_safe(packages: tuple[Path, Path]) -> None:
    found = magnitudes(read_package(packages[0]), *inputs())
    assert abs(MASKED) < LARGEST_HALF
    assert found[0].largest == pytest.approx(abs(MASKED), rel=0.01), "the mask is the largest value of all"
    assert {"softmax", "linear", "matmul"} <= {one.kind for one in found}
    assert all(one.largest <= 1.01 for one in found if one.kind == "softmax")
    refuse_overflow(found, margin=2.0)


def test_a_base_that_overflows_is_refused_by_name(packages: tuple[Path, Path]) -> None:
    found = magnitudes(read_package(packages[1]), *inputs())
    assert found[0].largest > LARGEST_HALF
    with pytest.raises(RefusedError, match=r"not safe in float16.*mul") as caught:
        refuse_overflow(found, margin=2.0)
    assert caught.value.code == "train.half"
    ids, mask = inputs()
    options = ProgramOptions(precision="float16", use_cache=False)
    features = compile_program(packages[1], options).predict(
        {"input_ids": ids[:, None], "attention_mask": mask[:, None]}
    )["features"]
    assert not np.isfinite(features).all(), "and run faithfully it really does"


def test_the_margin_is_a_factor() -> None:
    near = [Magnitude("x", "add", LARGEST_HALF / 3)]
    refuse_overflow(near, margin=2.9)
    with pytest.raises(RefusedError, match="x"):
        refuse_overflow(near, margin=3.1)
