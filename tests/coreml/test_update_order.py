"""Order of samples: the shuffle's published vectors, and what each switch does to mini-batches."""

import pytest

from headway.contract.errors import RefusedError
from headway.coreml.update.batches import EMPTY, BatchOrder
from headway.coreml.update.plan import Loss, SgdPlan, TrainingPlan
from headway.coreml.update.semantics import CHOICES, REASONS, Semantics
from headway.coreml.update.shuffle import MinstdRand, shuffle

FIRST = [7, 5, 8, 4, 1, 3, 2, 6, 0, 9]
SECOND = [6, 7, 3, 8, 0, 2, 4, 1, 5, 9]
THIRD = [9, 5, 8, 6, 3, 7, 1, 4, 0, 2]


def test_shuffle_vectors():
    random, order = MinstdRand.seeded(1234), list(range(10))
    for expected in (FIRST, SECOND, THIRD):
        shuffle(order, random)
        assert order == expected
    random, order = MinstdRand(), list(range(10))
    shuffle(order, random)
    assert order == [1, 6, 0, 3, 2, 5, 4, 9, 8, 7]


def test_the_generator_is_minstd_rand():
    random = MinstdRand()
    for _ in range(10_000):
        last = random.next()
    assert last == 399268537  # required by the C++ standard


@pytest.mark.parametrize("count", [1, 2, 3, 1000, 2**31, 2**40 + 7])
def test_uniform_integers_stay_in_range(count):
    random = MinstdRand.seeded(-5)
    assert all(0 <= random.below(count) < count for _ in range(200))


def order(samples, batch, semantics, *, registered=False, shuffled=False, seed=None, epochs=3):
    plan = TrainingPlan(Loss("cross_entropy", "p", "t"), SgdPlan(), 0.1, batch, epochs, shuffled, seed)
    batches = BatchOrder(samples, plan, semantics, registered)
    return [[rows.tolist() for rows in batches.epoch(index)] for index in range(epochs)]


def flat(epoch):
    return [row for batch in epoch for row in batch]


def test_without_shuffle_the_order_stays():
    assert order(5, 2, Semantics()) == [[[0, 1], [2, 3], [4]]] * 3


PARTIAL = {
    "keep": [4],
    "wrap": [4, 0],
    "stale": [4, 3],
    "zero_pad": [4, EMPTY],
}


@pytest.mark.parametrize("rule", PARTIAL)
def test_the_last_mini_batch(rule):
    assert order(5, 2, Semantics(partial_batch=rule), epochs=1) == [[[0, 1], [2, 3], PARTIAL[rule]]]


def test_dropping_the_last_mini_batch():
    assert order(5, 2, Semantics(partial_batch="drop"), epochs=1) == [[[0, 1], [2, 3]]]
    assert order(1, 2, Semantics(partial_batch="drop"), epochs=1) == [[]]


def test_wrapping_fewer_samples_than_a_mini_batch():
    assert order(2, 5, Semantics(partial_batch="wrap"), epochs=1) == [[[0, 1, 0, 1, 0]]]
    assert order(2, 5, Semantics(partial_batch="stale"), epochs=1) == [[[0, 1, EMPTY, EMPTY, EMPTY]]]


@pytest.mark.parametrize(
    ("semantics", "registered", "expected"),
    [
        (Semantics(), False, [FIRST, FIRST, FIRST]),
        (Semantics(), True, [FIRST, SECOND, THIRD]),
        (Semantics(reshuffle="every_epoch"), False, [FIRST, SECOND, THIRD]),
        (Semantics(reshuffle="never"), True, [FIRST, FIRST, FIRST]),
        (Semantics(shuffle_rule="none"), True, [list(range(10))] * 3),
    ],
)
def test_when_the_order_is_shuffled(semantics, registered, expected):
    epochs = order(10, 5, semantics, registered=registered, shuffled=True, seed=1234)
    assert [flat(epoch) for epoch in epochs] == expected


def test_switches_as_json():
    chosen = Semantics(loss_reduction="sum", completion_after_cancel=True)
    assert Semantics.from_json(chosen.to_json()) == chosen
    assert Semantics.from_json({}) == Semantics()
    assert REASONS.keys() == CHOICES.keys() == Semantics().to_json().keys()
    for bad in (3, {"nothing": 1}, {"loss_reduction": "median"}, {"completion_after_cancel": 1}, {"reshuffle": []}):
        with pytest.raises(RefusedError):
            Semantics.from_json(bad)
