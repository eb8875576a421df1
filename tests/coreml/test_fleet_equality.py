"""At full size too, a fleet trains every head as the single engine does: no head is excepted."""

from dataclasses import replace

import numpy as np
import pytest

from headway.coreml import SGD, Adam, AllowedSet, HeadLayout, MLModel, MLModelError, Range, initial_head, update_model
from headway.coreml.fleet.engine import OneThreadEach, train_fleet
from headway.coreml.fleet.jobs import FleetJob
from headway.coreml.update.semantics import DEFAULT_SEMANTICS, Semantics

SAMPLES, FEATURES, HIDDEN, CLASSES = 50, 512, 128, 10
OPTIMIZERS = {
    "SGD": SGD(Range(0.05)),
    "momentum": SGD(Range(0.05), momentum=Range(0.9)),
    "Adam": Adam(Range(0.001)),
    "Adam, ten times the rate": Adam(Range(0.01)),
}


def make_head(tmp_path, optimizer, activation="ReLU", hidden=(HIDDEN,), features=FEATURES, epochs=10):
    sizes = AllowedSet(epochs, (epochs,))
    layout = HeadLayout(features, CLASSES, hidden, activation=activation, optimizer=optimizer, epochs=sizes)
    path = tmp_path / "head.mlmodel"
    path.write_bytes(initial_head(layout, 1))
    return MLModel(path)


def drawn(seed, features=FEATURES):
    random = np.random.default_rng(seed)
    return random.standard_normal((SAMPLES, features), dtype=np.float32) / 8, random.integers(0, CLASSES, SAMPLES)


def single(job, semantics):
    return update_model(job.model, {"features": job.features, "probabilities_true": job.labels}, semantics=semantics)


def assert_as_single(jobs, semantics=DEFAULT_SEMANTICS, within=1e-5):
    with OneThreadEach(wanted=True) as alone:
        alone.need()  # on busy cores two threads of BLAS wait for each other, longer than they compute
        for job, result in zip(jobs, train_fleet(jobs, semantics=semantics), strict=True):
            assert result.error is None
            expected = single(job, semantics).model.weights
            for key, values in expected.items():
                assert np.abs(result.weights[key] - values).max() <= within * np.abs(values).max(), key


@pytest.mark.parametrize("activation", ["ReLU", "Tanh", "Sigmoid"])
@pytest.mark.parametrize("optimizer", OPTIMIZERS)
def test_heads_of_full_size(tmp_path, optimizer, activation):
    head = make_head(tmp_path, OPTIMIZERS[optimizer], activation)
    assert_as_single([FleetJob(head, *drawn(seed)) for seed in range(16)])


@pytest.mark.parametrize("optimizer", OPTIMIZERS)
def test_units_at_the_kink(tmp_path, optimizer):
    """In every job a sample is moved to where a unit's input is zero: only rounding decides whether the unit opens."""
    head = make_head(tmp_path, OPTIMIZERS[optimizer])
    kernel, bias = (head.weights[f"dense_0.{kind}"].astype(np.float64) for kind in ("weights", "biases"))
    jobs, inputs = [], []
    for seed in range(12):
        features, labels = drawn(seed)
        row, sample = kernel[seed], features[3].astype(np.float64)
        features[3] = sample - row * (row @ sample + bias[seed]) / (row @ row)
        inputs.append(abs(features[3].astype(np.float64) @ row + bias[seed]))
        jobs.append(FleetJob(head, features, labels))
    assert max(inputs) < 1e-7
    assert_as_single(jobs)


@pytest.mark.parametrize("optimizer", ["SGD", "Adam"])
@pytest.mark.parametrize("reduction", ["mean", "sum"])
def test_samples_of_zeros_stand_at_the_kink_too(tmp_path, optimizer, reduction):
    """What fills up the last mini-batch is a sample of zeros, for which no bias has opened a unit yet."""
    head = make_head(tmp_path, OPTIMIZERS[optimizer], hidden=(6,), features=20)
    jobs = [FleetJob(head, *(part[:33] for part in drawn(seed, 20))) for seed in range(4)]
    assert_as_single(jobs, Semantics(partial_batch="zero_pad", loss_reduction=reduction))


def test_a_unit_that_has_its_first_gradient_late(tmp_path):
    """With Adam a first gradient near zero makes much of its rounding, whenever it comes."""
    head = make_head(tmp_path, OPTIMIZERS["Adam, ten times the rate"], hidden=(24, 16), features=64)
    jobs = []
    for seed in range(8):
        features, labels = drawn(seed, 64)
        weights = dict(head.weights)
        below = np.maximum(features @ weights["dense_0.weights"].T + weights["dense_0.biases"], 0)
        inputs = (below @ weights["dense_1.weights"].T).max(axis=0)
        weights["dense_1.biases"] = np.where(np.arange(16) % 2, np.float32(0), -1.1 * inputs).astype(np.float32)
        jobs.append(FleetJob(head.with_weights(weights), features, labels))
    late = 0
    for job in jobs:
        one_epoch = replace(job, plan=replace(job.model.training_plan(), epochs=1))
        after, end = (result.weights["dense_1.biases"] for result in train_fleet([one_epoch, job]))
        late += ((after == job.model.weights["dense_1.biases"]) & (end != after)).any()
    assert late > 0
    assert_as_single(jobs)


def test_sparse_features(tmp_path):
    """Most weights have few gradients, some their first one late."""
    head = make_head(tmp_path, OPTIMIZERS["Adam"])
    jobs = []
    for seed in range(12):
        features, labels = drawn(seed)
        kept = np.random.default_rng(seed).random(features.shape) < 0.05
        jobs.append(FleetJob(head, np.where(kept, 4 * features, np.float32(0)), labels))
    assert_as_single(jobs)


@pytest.mark.parametrize("optimizer", OPTIMIZERS)
@pytest.mark.parametrize("activation", ["ReLU", "Sigmoid"])
def test_many_steps(tmp_path, optimizer, activation):
    """In float32 hundreds of them would drift."""
    head = make_head(tmp_path, OPTIMIZERS[optimizer], activation, hidden=(16,), features=64, epochs=100)
    assert_as_single([FleetJob(head, *drawn(seed, 64)) for seed in range(3)], within=3e-7)


@pytest.mark.parametrize("epsilon", [1e-3, 1e-12])
def test_epsilons(tmp_path, epsilon):
    head = make_head(tmp_path, Adam(Range(0.001), eps=Range(epsilon)), hidden=(16,), features=40)
    assert_as_single([FleetJob(head, *drawn(seed, 40)) for seed in range(6)])


@pytest.mark.parametrize("optimizer", OPTIMIZERS)
@pytest.mark.parametrize("scale", [1e18, 1e33, 1e38])
def test_what_float32_cannot_hold_fails_in_both(tmp_path, optimizer, scale):
    head = make_head(tmp_path, OPTIMIZERS[optimizer], hidden=(7,), features=12)
    features, labels = drawn(1, 12)
    job = FleetJob(head, features * np.float32(scale), labels)
    result = train_fleet([job])[0]
    try:
        expected = single(job, DEFAULT_SEMANTICS)
    except MLModelError:
        assert result.error is not None
    else:
        assert result.error is None
        for key, values in expected.model.weights.items():
            assert np.abs(result.weights[key] - values).max() <= 1e-5 * np.abs(values).max(), key
