"""A fleet trains every head as the single engine does."""

import itertools

import numpy as np
import pytest

from headway.coreml import SGD, Adam, AllowedSet, HeadLayout, MLModel, Range, initial_head, update_model
from headway.coreml.fleet.engine import OneThreadEach, pieces, train_fleet
from headway.coreml.fleet.jobs import FleetJob
from headway.coreml.fleet.lanes import compiled
from headway.coreml.fleet.shelf import Shelf
from headway.coreml.proto import encode
from headway.coreml.update.keys import MLModelConfiguration, MLParameterKey
from headway.coreml.update.semantics import Semantics

from .sample_models import squared_error_model


def configured(model, **values):
    return model.configured(MLModelConfiguration({getattr(MLParameterKey, k): v for k, v in values.items()}))


def make_head(tmp_path, layout, seed=1):
    path = tmp_path / f"head-{seed}-{len(layout.hidden)}.mlmodel"
    path.write_bytes(initial_head(layout, seed))
    return MLModel(path)


def samples(layout, count, seed):
    random = np.random.default_rng(seed)
    features = random.standard_normal((count, layout.features)).astype(np.float32)
    return features, random.integers(0, layout.classes, count)


def assert_as_single(jobs, results, semantics):
    """Every result equals the single engine's within 1e-5 of the largest weight; so does the last loss."""
    for job, result in zip(jobs, results, strict=True):
        assert result.error is None
        data = {"features": job.features, "probabilities_true": job.labels}
        expected = update_model(job.model, data, semantics=semantics)
        assert result.weights.keys() == expected.model.weights.keys()
        for key, values in expected.model.weights.items():
            assert result.weights[key].shape == values.shape
            assert np.abs(result.weights[key] - values).max() <= 1e-5 * max(1e-3, np.abs(values).max()), key
        assert result.losses[-1] == pytest.approx(next(iter(expected.metrics.values())), rel=1e-4, abs=1e-6)


OPTIMIZERS = {
    "sgd": SGD(Range(0.1)),
    "momentum": SGD(Range(0.05), momentum=Range(0.8)),
    "adam": Adam(Range(0.01)),
}


@pytest.mark.parametrize("optimizer", OPTIMIZERS)
@pytest.mark.parametrize(("hidden", "activation"), [((), "ReLU"), ((7,), "ReLU"), ((7, 6), "Tanh"), ((5,), "Sigmoid")])
def test_equal_jobs(tmp_path, optimizer, hidden, activation):
    layout = HeadLayout(12, 4, hidden=hidden, activation=activation, optimizer=OPTIMIZERS[optimizer])
    head = make_head(tmp_path, layout)
    jobs = [FleetJob(head, *samples(layout, 25, seed)) for seed in range(5)]
    assert_as_single(jobs, train_fleet(jobs), Semantics())


@pytest.mark.parametrize("optimizer", OPTIMIZERS)
@pytest.mark.parametrize("partial", ["keep", "drop", "wrap", "stale", "zero_pad"])
@pytest.mark.parametrize("reduction", ["mean", "sum"])
def test_everything_differs(tmp_path, optimizer, partial, reduction):
    layout = HeadLayout(10, 3, hidden=(6,), optimizer=OPTIMIZERS[optimizer])
    semantics = Semantics(partial_batch=partial, loss_reduction=reduction, reshuffle="every_epoch")
    heads = [make_head(tmp_path, layout, seed) for seed in range(3)]
    jobs = []
    for index, (count, epochs) in enumerate(itertools.product([10, 17, 23], [1, 4])):
        model = configured(
            heads[index % 3],
            epochs=epochs,
            miniBatchSize=[5, 10][index % 2],
            learningRate=0.01 * (1 + index),
            shuffle=index % 3 == 0,
            seed=index,
        )
        jobs.append(FleetJob(model, *samples(layout, count, index)))
    assert_as_single(jobs, train_fleet(jobs, semantics=semantics), semantics)


@pytest.mark.parametrize("form", ["heavy_ball", "velocity", "nesterov", "dampened"])
def test_momentum_forms(tmp_path, form):
    layout = HeadLayout(8, 3, hidden=(5,), optimizer=SGD(Range(0.05), momentum=Range(0.9)))
    head = make_head(tmp_path, layout)
    models = [head, configured(head, momentum=0.0), configured(head, momentum=0.5, epochs=3)]
    jobs = [FleetJob(model, *samples(layout, 12 + index, index)) for index, model in enumerate(models)]
    semantics = Semantics(momentum_form=form)
    assert_as_single(jobs, train_fleet(jobs, semantics=semantics), semantics)


def test_shuffled_with_momentum_and_one_layer(tmp_path):
    layout = HeadLayout(8, 3, optimizer=SGD(Range(0.05), momentum=Range(0.9)), shuffle=True, seed=3)
    head = make_head(tmp_path, layout)
    jobs = [FleetJob(head, *samples(layout, count, count)) for count in (7, 20, 31)]
    semantics = Semantics(reshuffle="every_epoch")
    assert_as_single(jobs, train_fleet(jobs, semantics=semantics), semantics)


@pytest.mark.parametrize("workers", [2, 3])
def test_workers_change_nothing(tmp_path, workers):
    layout = HeadLayout(10, 3, hidden=(6,))
    heads = [make_head(tmp_path, layout, 1), configured(make_head(tmp_path, layout, 1), miniBatchSize=5)]
    jobs = [FleetJob(heads[index % 2], *samples(layout, 20 + index % 4, index)) for index in range(80)]
    jobs[3] = FleetJob(heads[0], jobs[3].features * 1e38, jobs[3].labels)
    alone, shared = train_fleet(jobs), train_fleet(jobs, workers=workers)
    assert alone[3].error is not None
    for one, other in zip(alone, shared, strict=True):
        assert (one.error is None) == (other.error is None)
        assert one.losses == other.losses
        for key, values in one.weights.items():
            np.testing.assert_array_equal(other.weights[key], values)


def test_heads_of_other_kinds_go_through_the_single_engine(tmp_path):
    layout = HeadLayout(10, 3, hidden=(6,))
    frozen = make_head(tmp_path, layout).package.spec
    first = frozen.neuralNetwork.layers[0]
    first.isUpdatable = first.innerProduct.weights.isUpdatable = first.innerProduct.bias.isUpdatable = False
    (tmp_path / "partly.mlmodel").write_bytes(encode(frozen))
    model = MLModel(tmp_path / "partly.mlmodel")
    jobs = [FleetJob(model, *samples(layout, 20, 1))]
    result, again = train_fleet([*jobs, *jobs], workers=2)
    np.testing.assert_array_equal(result.weights["dense_1.weights"], again.weights["dense_1.weights"])
    data = {"features": jobs[0].features, "probabilities_true": jobs[0].labels}
    expected = update_model(model, data).model.weights
    assert set(result.weights) == {"dense_1.weights", "dense_1.biases"}
    np.testing.assert_array_equal(result.weights["dense_1.weights"], expected["dense_1.weights"])


def test_one_bad_job_does_not_touch_the_others(tmp_path):
    layout = HeadLayout(10, 3)
    head = make_head(tmp_path, layout)
    features, labels = samples(layout, 20, 1)
    bad = [
        FleetJob(head, features[:, :9], labels),
        FleetJob(head, features, labels + 3),
        FleetJob(head, features * np.nan, labels),
        FleetJob(head, features[:0], labels[:0]),
        FleetJob(head, features, labels.astype(np.float32)),
        FleetJob(configured(head, epochs=1000), features, labels),
    ]
    results = train_fleet([*bad, FleetJob(head, features, labels)])
    assert [result.error is None for result in results] == [False] * 6 + [True]
    assert {result.error.code for result in results[:5]} == {"mlmodel_featureType"}
    assert results[5].error.code == "mlmodel_parameters"
    alone = train_fleet([FleetJob(head, features, labels)])[0]
    np.testing.assert_allclose(results[-1].weights["dense_0.weights"], alone.weights["dense_0.weights"], rtol=1e-6)


def test_a_head_without_a_cross_entropy_is_an_error_or_single(tmp_path):
    (tmp_path / "mse.mlmodel").write_bytes(encode(squared_error_model()))
    model = MLModel(tmp_path / "mse.mlmodel")
    features = np.ones((4, 2, 5, 5), dtype=np.float32)
    (result,) = train_fleet([FleetJob(model, features, np.zeros(4, dtype=np.int64))])
    assert result.error is not None


@pytest.mark.parametrize("optimizer", OPTIMIZERS)
def test_real_sizes(tmp_path, optimizer):
    """Adam at an ordinary rate: it divides by the root of tiny gradients, which makes much of their rounding."""
    chosen = Adam(Range(0.001)) if optimizer == "adam" else OPTIMIZERS[optimizer]
    layout = HeadLayout(512, 10, hidden=(128,), optimizer=chosen)
    head = make_head(tmp_path, layout)
    features, labels = samples(layout, 50, 1)
    jobs = [FleetJob(head, features / 8, labels)]
    assert_as_single(jobs, train_fleet(jobs), Semantics())


@pytest.mark.parametrize("optimizer", ["sgd", "momentum"])
def test_many_heads_of_real_size(tmp_path, optimizer):
    """All of 64, with an activation that has no kink: the few ReLU heads that differ have a unit at zero."""
    layout = HeadLayout(512, 10, hidden=(128,), activation="Tanh", optimizer=OPTIMIZERS[optimizer])
    head = make_head(tmp_path, layout)
    drawn = [samples(layout, 50, seed) for seed in range(64)]
    jobs = [FleetJob(head, features / 8, labels) for features, labels in drawn]
    with OneThreadEach(wanted=True) as alone:
        alone.need()  # on busy cores two threads of BLAS wait for each other, longer than they compute
        assert_as_single(jobs, train_fleet(jobs), Semantics())


@pytest.mark.parametrize(("features", "hidden", "classes", "count"), [(33, (40, 17), 19, 70), (31, (), 33, 11)])
@pytest.mark.parametrize("optimizer", OPTIMIZERS)
def test_sizes_that_fill_no_vector(tmp_path, optimizer, features, hidden, classes, count):
    """More samples than features too: then SGD does not run in sample space."""
    chosen = Adam(Range(0.001)) if optimizer == "adam" else OPTIMIZERS[optimizer]
    layout = HeadLayout(features, classes, hidden=hidden, optimizer=chosen)
    model = configured(make_head(tmp_path, layout), miniBatchSize=5, epochs=3)
    jobs = [FleetJob(model, *samples(layout, count, 1)), FleetJob(model, *samples(layout, 1, 2))]
    assert_as_single(jobs, train_fleet(jobs), Semantics())


@pytest.mark.parametrize("hidden", [(), (6,)])
@pytest.mark.parametrize("batch", [1, 2, 3, 4, 5, 7, 11])
def test_mini_batches_of_every_size(tmp_path, hidden, batch):
    """Samples are worked on by four and by two: what is left over must be right too."""
    sizes = AllowedSet(batch, (batch,))
    layout = HeadLayout(20, 3, hidden=hidden, optimizer=SGD(Range(0.05), mini_batch_size=sizes))
    head = make_head(tmp_path, layout)
    jobs = [FleetJob(head, *samples(layout, count, count)) for count in (1, 2, 9, 18)]
    assert_as_single(jobs, train_fleet(jobs), Semantics())


def test_after_a_head_that_diverged_the_next_is_as_ever(tmp_path):
    """Heads of one call share memory: nothing of the one may be left for the other."""
    for optimizer in OPTIMIZERS.values():
        layout = HeadLayout(12, 4, hidden=(7,), optimizer=optimizer)
        head = make_head(tmp_path, layout)
        good = FleetJob(head, *samples(layout, 25, 1))
        bad = FleetJob(head, good.features * 1e38, good.labels)
        first, failed, second = train_fleet([good, bad, good])
        assert failed.error is not None
        assert first.losses == second.losses
        for key, values in first.weights.items():
            np.testing.assert_array_equal(second.weights[key], values)


@pytest.mark.parametrize("workers", [1, 2, 3])
@pytest.mark.parametrize("count", [0, 1, 7, 8, 63, 64, 65, 200, 1000])
def test_pieces_are_all_jobs_once(count, workers):
    found = [place for piece in pieces(count, workers) for place in range(count)[piece]]
    assert found == list(range(count))


def test_a_shelf_gives_every_row_once():
    shelf = Shelf(50)
    taken = [shelf.take(rows, 3) for rows in (20, 20, 20, 70)] + [shelf.take(5, 0), shelf.take(8, 2)]
    assert [part.shape for part in taken] == [(20, 3), (20, 3), (20, 3), (70, 3), (5, 0), (8, 2)]
    for number, part in enumerate(taken):
        part[:] = number
    assert all((part == number).all() for number, part in enumerate(taken))


def test_samples_need_not_be_writable_contiguous_or_float32(tmp_path):
    layout = HeadLayout(12, 4)
    head = make_head(tmp_path, layout)
    features, labels = samples(layout, 20, 1)
    odd = np.asfortranarray(features.astype(np.float64))
    odd.setflags(write=False)
    alike = [FleetJob(head, features, labels), FleetJob(head, odd, labels.astype(np.uint8)[:, None])]
    one, other = train_fleet(alike)
    np.testing.assert_array_equal(one.weights["dense_0.weights"], other.weights["dense_0.weights"])


def test_code_is_compiled_where_nothing_may_be_written(monkeypatch):
    monkeypatch.setattr("numba.core.caching.CacheImpl._locator_classes", [])
    assert compiled(lambda x: x + 1)(2) == 3
