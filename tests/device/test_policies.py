"""Pure rules: when to poll, when to train, what is kept, and what counts as better."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from headway.contract.errors import RefusedError
from headway.device.faulty import MemoryFileSystem
from headway.device.health import ClassScore, HealthBudget, HealthFacts, Healthy, Unhealthy, judge_health
from headway.device.judge import JudgePolicy, Measured, judge_candidate, lower_bound
from headway.device.policy import (
    DAY_S,
    HeavyWorkPolicy,
    PollPolicy,
    Schedule,
    after_failure,
    after_success,
    first_poll,
    is_due,
    why_not_train,
)
from headway.device.ports import Conditions
from headway.device.samples import Sample, SampleLimits, SampleStore, side_of

NOW = 1_800_000_000
POLICY = PollPolicy(interval_s=3600)
chances = st.floats(0, 1, exclude_max=True)


@given(chances)
def test_a_new_install_polls_within_the_interval_and_not_at_once(chance: float) -> None:
    schedule = first_poll(POLICY, NOW, chance)
    assert NOW + 360 <= schedule.next_s <= NOW + 3240


@given(chances, st.integers(0, 50), st.none() | st.integers(0, 10 * DAY_S))
def test_backoff_grows_to_a_day_and_honours_the_server_for_a_day(
    chance: float, failures: int, retry_after: int | None
) -> None:
    schedule = after_failure(POLICY, Schedule(NOW, 3600, failures), NOW, retry_after, chance)
    wait = schedule.next_s - NOW
    assert min(60 * 2**failures, DAY_S) * 0.49 <= wait + 1 or wait >= DAY_S
    assert wait <= DAY_S
    assert wait >= min(retry_after or 0, DAY_S)
    assert schedule.failures == failures + 1
    assert not is_due(schedule, NOW) or wait == 0


@given(chances)
def test_success_forgets_failures_and_takes_the_channels_interval(chance: float) -> None:
    schedule = after_success(POLICY, 7200, NOW, chance)
    assert 6479 <= schedule.next_s - NOW <= 7920
    assert (schedule.interval_s, schedule.failures) == (7200, 0)


def test_a_poll_years_ahead_of_a_corrected_clock_is_due() -> None:
    assert is_due(Schedule(NOW + 400 * DAY_S, 3600), NOW)
    assert not is_due(Schedule(NOW + 3000, 3600), NOW)


@pytest.mark.parametrize(
    ("conditions", "samples", "free", "reason"),
    [
        (Conditions(), 50, 1 << 30, None),
        (Conditions(), 49, 1 << 30, "too_few_samples"),
        (Conditions(idle=False), 50, 1 << 30, "not_idle"),
        (Conditions(charging=False), 50, 1 << 30, "not_charging"),
        (Conditions(thermal=2), 50, 1 << 30, "too_warm"),
        (Conditions(), 50, 1000, "disk_low"),
    ],
)
def test_training_waits_for_the_right_moment(
    conditions: Conditions, samples: int, free: int, reason: str | None
) -> None:
    assert why_not_train(HeavyWorkPolicy(), conditions, samples, free) == reason


# Corrections --------------------------------------------------------------------------------------------------


def test_correcting_a_text_again_replaces_its_label() -> None:
    store = SampleStore(MemoryFileSystem(), "topic")
    store.add(Sample("今天 天气", "film", 1))
    store.add(Sample("今天 天气", "travel", 2))
    assert store.all() == (Sample("今天 天气", "travel", 2),)


def test_a_full_store_keeps_classes_balanced_and_never_grows() -> None:
    store = SampleStore(MemoryFileSystem(), "topic", SampleLimits(total=30))
    for number in range(200):
        store.add(Sample(f"text {number}", "film" if number % 10 else "music", number))
    labels = [s.label for s in store.all()]
    assert len(labels) == 30
    assert labels.count("music") >= 14, "the rare class is not crowded out"


@settings(max_examples=8)
@given(st.lists(st.integers(0, 500), min_size=25, max_size=40, unique=True))
def test_what_a_full_store_keeps_does_not_depend_on_the_order(numbers: list[int]) -> None:
    kept = []
    for order in (numbers, numbers[::-1]):
        store = SampleStore(MemoryFileSystem(), "topic", SampleLimits(total=20))
        for number in order:
            store.add(Sample(f"text {number}", "film", 0))
        kept.append({s.text for s in store.all()})
    assert kept[0] == kept[1]


@pytest.mark.parametrize(("text", "label"), [("", "film"), (" \n", "film"), ("text", ""), ("x" * 5000, "film")])
def test_what_is_no_correction_is_refused(text: str, label: str) -> None:
    with pytest.raises(RefusedError) as caught:
        SampleStore(MemoryFileSystem(), "topic").add(Sample(text, label, 0))
    assert caught.value.code == "correction"


@given(st.text(min_size=1).filter(lambda t: t.strip()))
def test_any_text_comes_back_as_it_was_typed(text: str) -> None:
    store = SampleStore(MemoryFileSystem(), "topic")
    store.add(Sample(text, "音乐", 5))
    assert store.all() == (Sample(text, "音乐", 5),)


def test_the_split_depends_on_the_text_alone_and_has_the_right_shares() -> None:
    limits = SampleLimits()
    sides = [side_of(Sample(f"text {n}", "film", n), limits) for n in range(4000)]
    assert sides == [side_of(Sample(f"text {n}", "music", 0), limits) for n in range(4000)]
    assert abs(sides.count("judge") / 4000 - 0.25) < 0.03
    assert abs(sides.count("tune") / 4000 - 0.15) < 0.03


def test_removing_one_correction_removes_its_cached_features() -> None:
    files = MemoryFileSystem()
    store, base = SampleStore(files, "topic"), "sha256:" + "a" * 64
    sample = Sample("text", "film", 1)
    store.add(sample)
    store.keep_features(base, 2, {sample.id: b"\x00" * 8})
    assert store.features(base, 2) == {sample.id: b"\x00" * 8}
    assert store.features(base, 3) == {}, "another dimension is another cache"
    store.remove(sample.id)
    assert store.features(base, 2) == {}
    assert store.count() == 0


def test_a_damaged_feature_cache_is_computed_again() -> None:
    files = MemoryFileSystem()
    store, base = SampleStore(files, "topic"), "sha256:" + "a" * 64
    store.keep_features(base, 1, {"x": b"1234"})
    files.files[f"heads/topic/features/{'a' * 64}.f32"].data += b"!"
    assert store.features(base, 1) == {}


# Judges -------------------------------------------------------------------------------------------------------

GOOD = HealthFacts(24, True, 0.001, 0.001, 1.0, (ClassScore("film", 12, 11), ClassScore("music", 12, 10)), 6000, 0.2)


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"finite": False}, "not_finite"),
        ({"rows": 3}, "golden_too_small"),
        ({"feature_deviation": 0.5}, "golden_features"),
        ({"probability_deviation": 0.5}, "golden_probabilities"),
        ({"agreement": 0.9}, "golden_agreement"),
        ({"head_bytes": 10**9}, "too_large"),
        ({"latency_ms": 99.0}, "too_slow"),
        ({"classes": (ClassScore("film", 12, 5),)}, "class_floor"),
    ],
)
def test_a_trial_fails_for_one_reason(change: dict, reason: str) -> None:
    verdict = judge_health(replace(GOOD, **change))
    assert isinstance(verdict, Unhealthy)
    assert verdict.reason == reason
    assert verdict.message


def test_a_class_too_rare_to_judge_does_not_fail_a_trial() -> None:
    assert judge_health(replace(GOOD, classes=(ClassScore("film", 2, 0),))) == Healthy()
    assert judge_health(GOOD, HealthBudget(class_floor=0.8)) == Healthy()


def measured(losses: list[float], right: list[bool] | None = None) -> Measured:
    return Measured(tuple(losses), tuple(right or [True] * len(losses)))


GOLDEN = measured([0.1] * 20)


def test_a_steady_gain_is_accepted_and_a_lucky_one_is_not() -> None:
    before = measured([1.0] * 12, [False] * 6 + [True] * 6)
    steady = judge_candidate(before, measured([0.7] * 12), GOLDEN, GOLDEN, JudgePolicy())
    assert (steady.accepted, steady.gain) == (True, "over-20")
    lucky = measured([0.1] + [1.05] * 11, [True] * 7 + [True] * 5)
    assert judge_candidate(before, lucky, GOLDEN, GOLDEN, JudgePolicy()).reason == "no_proven_gain"


def test_forgetting_nan_and_small_holdouts_are_rejected() -> None:
    before, after = measured([1.0] * 12), measured([0.5] * 12)
    worse = measured([0.1] * 18 + [3.0] * 2, [True] * 18 + [False] * 2)
    assert judge_candidate(before, after, GOLDEN, worse, JudgePolicy()).reason == "forgets"
    assert judge_candidate(before, measured([math.inf] * 12), GOLDEN, GOLDEN, JudgePolicy()).reason == "not_finite"
    few = judge_candidate(measured([1.0] * 5), measured([0.1] * 5), GOLDEN, GOLDEN, JudgePolicy())
    assert few.reason == "holdout_too_small"


@given(st.lists(st.floats(-5, 5), min_size=2, max_size=50), st.floats(0, 3))
def test_the_bound_lies_below_the_mean_and_falls_with_z(differences: list[float], z: float) -> None:
    bound = lower_bound(differences, z)
    assert bound <= math.fsum(differences) / len(differences) + 1e-9
    assert lower_bound(differences, z + 1) <= bound + 1e-9
    assert lower_bound([1.0], 1) == -math.inf
