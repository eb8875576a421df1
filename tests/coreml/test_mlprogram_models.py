"""Whole models against PyTorch: what coremltools writes for transformer encoders and small image networks."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from headway.coreml.mlprogram import ProgramOptions, compile_program

from .mil_programs import coremltools
from .torch_models import export

pytest.importorskip("torch")

EXACT = ProgramOptions(threads=1, use_cache=False)

FAST = [
    ("mobilebert", "trace", "iOS16"),
    ("bert", "trace", "iOS15"),
    ("e5", "trace", "iOS16"),
    ("cnn", "trace", "iOS15"),
]
SLOW = [
    ("mobilebert", "export", "iOS18"),
    ("mobilebert", "trace", "iOS15"),
    ("bert", "export", "iOS17"),
    ("bert", "trace", "iOS18"),
    ("e5", "export", "iOS18"),
    ("roberta", "trace", "iOS16"),
    ("albert", "trace", "iOS16"),
    ("distilbert", "trace", "iOS16"),
    ("distilbert", "export", "iOS17"),
    ("vit", "trace", "iOS16"),
    ("bert-sdpa", "trace", "iOS18"),
    ("bert-sdpa", "export", "iOS17"),
    ("cnn", "export", "iOS17"),
]


def _check(kind: str, frontend: str, target: str, folder: Path) -> None:
    exported = export(kind, folder, frontend, target)
    program = compile_program(exported.path, EXACT)
    wanted = exported.expected()

    batch = program.predict(exported.inputs)["features"]
    items = [
        program.predict({name: array[i] for name, array in exported.inputs.items()})["features"]
        for i in range(len(wanted))
    ]

    assert program.batched
    np.testing.assert_allclose(np.stack(items), wanted, rtol=1e-5, atol=2e-6)
    np.testing.assert_allclose(batch, wanted, rtol=1e-5, atol=2e-6)


@pytest.mark.parametrize(("kind", "frontend", "target"), FAST)
def test_model_equals_pytorch(kind: str, frontend: str, target: str, tmp_path: Path) -> None:
    _check(kind, frontend, target, tmp_path)


@pytest.mark.slow
@pytest.mark.parametrize(("kind", "frontend", "target"), SLOW)
def test_further_model_equals_pytorch(kind: str, frontend: str, target: str, tmp_path: Path) -> None:
    _check(kind, frontend, target, tmp_path)


def test_int8_mode_stays_close_to_pytorch(tmp_path: Path) -> None:
    exported = export("bert", tmp_path)
    fast = compile_program(exported.path, ProgramOptions(compute="int8", threads=1, use_cache=False))
    found = fast.predict(exported.inputs)["features"]
    assert np.abs(found - exported.expected()).max() < 0.05


@pytest.mark.parametrize("labels", [["film", "音乐", "travel"], [10, 20, 30]])
def test_a_classifier_gives_label_and_probabilities(labels: list[str] | list[int], tmp_path: Path) -> None:
    import torch

    ct = coremltools()
    module = torch.nn.Sequential(torch.nn.Linear(4, 3), torch.nn.Softmax(-1)).eval()
    model = ct.convert(
        torch.jit.trace(module, torch.zeros(1, 4)),
        inputs=[ct.TensorType("x", (1, 4))],
        classifier_config=ct.ClassifierConfig(labels),
        compute_precision=ct.precision.FLOAT32,
        minimum_deployment_target=ct.target.iOS16,
        skip_model_load=True,
    )
    model.save(str(tmp_path / "classifier.mlpackage"))
    program = compile_program(tmp_path / "classifier.mlpackage", EXACT)
    rows = np.random.default_rng(1).standard_normal((6, 1, 4)).astype(np.float32)
    wanted = module(torch.from_numpy(rows)).detach().numpy()[:, 0]

    batch, single = program.predict({"x": rows}), program.predict({"x": rows[0]})

    np.testing.assert_allclose(batch["classLabel_probs"], wanted, atol=1e-6)
    assert batch["classLabel"].tolist() == [labels[i] for i in wanted.argmax(1)]
    assert single["classLabel"].item() == labels[int(wanted[0].argmax())]
    assert single["classLabel_probs"].shape == (3,)


class TestHalfPrecision:
    """A float16 program: in float32 near PyTorch, in float16 mode as coarse as float16 and finite."""

    @pytest.mark.parametrize("target", ["iOS16", "iOS17"])
    def test_both_modes(self, target: str, tmp_path: Path) -> None:
        exported = export("bert", tmp_path, target=target, precision="FLOAT16")
        wanted = exported.expected()
        wide = compile_program(exported.path, EXACT).predict(exported.inputs)["features"]
        half = compile_program(exported.path, ProgramOptions("float16", threads=1, use_cache=False))
        coarse = half.predict(exported.inputs)["features"]

        assert np.abs(wide - wanted).max() < 2e-3
        assert np.abs(coarse - wanted).max() < 2e-2
        assert np.abs(coarse - wide).max() > 1e-6
        np.testing.assert_array_equal(coarse.astype(np.float16).astype(np.float32), coarse)
