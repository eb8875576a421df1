"""Float16: what comes near its limit is found and told, scores are kept from it, and what overflows is refused."""

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
from headway_trainer.export.base import converted, export_base
from headway_trainer.export.half import student_for_half
from headway_trainer.models.lexicon import Area, Lexicon
from headway_trainer.models.lexicon_fit import UNUSED
from headway_trainer.models.student import HALF_MASKED, Student, StudentConfig
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
    assert abs(HALF_MASKED) < LARGEST_HALF
    assert found[0].largest == pytest.approx(abs(HALF_MASKED), rel=0.01), "the mask is the largest value of all"
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


def with_scores(product: float) -> Student:
    """A student whose largest product of a query and a key, before it is scaled, is this."""
    torch.manual_seed(0)
    student = Student(TINY, 3, 300, 0).eval()
    attention = student.backbone.encoder.layer[0].attention.self
    seen: dict[str, torch.Tensor] = {}
    for name in ("query", "key"):
        getattr(attention, name).register_forward_hook(lambda _m, _i, out, name=name: seen.__setitem__(name, out))
    ids, mask = inputs()
    with torch.no_grad():
        student(torch.from_numpy(ids), torch.from_numpy(mask))
        query, key = (seen[name].view(len(ids), 12, 2, -1).transpose(1, 2) for name in ("query", "key"))
        grown = (product / float((query @ key.transpose(2, 3)).abs().max())) ** 0.5
        for name in ("query", "key"):
            getattr(attention, name)._forward_hooks.clear()
            getattr(attention, name).weight.mul_(grown)
            getattr(attention, name).bias.mul_(grown)
    return student


def largest_matmul(path: Path) -> float:
    return max(one.largest for one in magnitudes(read_package(path), *inputs()) if one.kind == "matmul")


def run_in_half(path: Path) -> np.ndarray:
    ids, mask = inputs()
    options = ProgramOptions(precision="float16", use_cache=False)
    return compile_program(path, options).predict({"input_ids": ids[:, None], "attention_mask": mask[:, None]})[
        "features"
    ]


def test_queries_are_scaled_before_the_product(tmp_path: Path) -> None:
    student = with_scores(150_000.0)
    converted(student, half=True).save(str(tmp_path / "after.mlpackage"))
    assert largest_matmul(tmp_path / "after.mlpackage") > LARGEST_HALF
    assert not np.isfinite(run_in_half(tmp_path / "after.mlpackage")).all()
    export_base(student, tmp_path / "before.mlpackage", half=True)
    root = (TINY.bottleneck / TINY.heads) ** 0.5
    assert largest_matmul(tmp_path / "before.mlpackage") == pytest.approx(150_000 / root, rel=0.02)
    assert np.isfinite(run_in_half(tmp_path / "before.mlpackage")).all()


def test_a_student_for_float16_computes_the_same() -> None:
    student = with_scores(20.0)
    ids, mask = (torch.from_numpy(given) for given in inputs())
    with torch.no_grad():
        own, other = student(ids, mask).features, student_for_half(student)(ids, mask).features
    assert torch.allclose(own, other, atol=1e-4, rtol=1e-4)
    assert float(student.backbone.encoder.layer[0].attention.self.scaling) != 1.0, "the student itself is left alone"


def test_a_lexicon_survives_float16(tmp_path: Path) -> None:
    torch.manual_seed(0)
    table = torch.randn(1024, 60)
    table[::2] = UNUSED
    lexicon = Lexicon(table, [Area(3, 0, 1023)], torch.randn(3))
    export_base(Student(TINY, 3, 300, 0), tmp_path / "words.mlpackage", lexicon, half=True)
    ids, mask = inputs()
    with torch.no_grad():
        wanted = lexicon(torch.from_numpy(ids), torch.from_numpy(mask)).numpy()
    assert run_in_half(tmp_path / "words.mlpackage")[:, -3:] == pytest.approx(wanted, abs=0.05)
