"""The int8 grid of training is coremltools' grid, and gradients pass it."""

from __future__ import annotations

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="training needs the extra trainer")
pytest.importorskip("coremltools", reason="the grid is compared with coremltools")
pytest.importorskip("transformers", reason="training needs the extra trainer")

from coremltools.converters.mil.mil import types
from coremltools.optimize import _utils

from headway_trainer.learning import qat
from headway_trainer.models.student import Student, StudentConfig
from headway_trainer.parity import classifier_of, labels_by


@pytest.mark.parametrize("seed", range(20))
def test_grid_equals_coremltools_bit_for_bit(seed: int) -> None:
    random = np.random.default_rng(seed)
    weight = (random.standard_normal((17, 33)) * 10.0 ** random.integers(-6, 3, (17, 1))).astype(np.float32)
    weight[0] = np.float32(2.0**-20)
    weight[1, ::2] = 0
    weight[2] = random.integers(-127, 128, 33) * np.float32(0.125)
    data, scale, _ = _utils.quantize_weight_by_dtype(weight, (1,), types.int8, "LINEAR_SYMMETRIC")
    expected = data.astype(np.int8).astype(np.float32) * scale.reshape(-1, 1)
    assert qat.on_grid(torch.from_numpy(weight)).numpy().tobytes() == expected.tobytes()


def test_attach_quantises_and_detach_gives_the_latent_weights_back() -> None:
    layer = torch.nn.Sequential(torch.nn.Linear(64, 64), torch.nn.Linear(8, 8))
    latent = layer[0].weight.detach().clone()
    assert qat.attach(layer) == 1, "a small matrix stays float32, as in the package"
    assert torch.equal(layer[0].weight, qat.on_grid(latent))
    qat.detach(layer)
    assert torch.equal(layer[0].weight, latent)


def test_gradients_pass_the_grid() -> None:
    layer = torch.nn.Sequential(torch.nn.Linear(64, 64))
    qat.attach(layer)
    layer.train()
    layer(torch.ones(1, 64)).sum().backward()
    assert torch.equal(layer[0].parametrizations.weight.original.grad, torch.ones(64, 64))


def test_parity_labels_both_sides_by_the_classifier_that_training_ended_with() -> None:
    torch.manual_seed(0)
    geometry = StudentConfig(layers=1, hidden=128, bottleneck=32, embedding=16, intermediate=32, heads=2, max_length=8)
    student = Student(geometry, classes=20, vocabulary_size=50, pad_id=0).eval()
    qat.attach(student)
    classifier = classifier_of(student)
    qat.detach(student)
    latent = classifier_of(student)
    assert np.array_equal(classifier[0].T, qat.on_grid(torch.from_numpy(latent[0].T)).numpy())
    features = np.random.default_rng(0).standard_normal((4000, 128)).astype(np.float32)
    chosen, others = (labels_by(held, features, slice(5, 20)) for held in (classifier, latent))
    assert chosen.max() < 15, "counted within the set"
    assert (chosen != others).any(), "a student without its grid would label some rows otherwise"
