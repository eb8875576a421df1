"""The decision about a rollout: pure, monotone, and never fooled by silence or by one unlucky device."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from headway.contract.errors import RefusedError
from headway.contract.parsing import Fields
from headway_server.delivery.decide import Counts, Policy, RolloutState, Stage, bounds, decide

STAGES = (Stage(500, 60, 3), Stage(2_500, 60, 10), Stage(10_000, 0, 20))
RUNNING = RolloutState("running", None, STAGES, 0, 1_000, Policy(), "live")
numbers = st.integers(0, 5_000)


@st.composite
def counts(draw: st.DrawFn) -> Counts:
    installed = draw(numbers)
    return Counts(installed, draw(st.integers(0, installed)), draw(numbers), draw(numbers))


states = st.builds(
    RolloutState,
    st.sampled_from(["running", "held", "halted", "complete", "yanked"]),
    st.sampled_from([None, "operator", "health"]),
    st.just(STAGES),
    st.integers(0, 2),
    st.just(1_000),
    st.builds(Policy, max_failed=st.integers(0, 10_000), min_reports=st.integers(0, 50)),
    st.just("live"),
)
gone = st.sampled_from(["revoked", "recalled", "unlisted"])


@given(states, counts(), st.integers(0, 10_000))
def test_it_is_total_and_pure(state: RolloutState, seen: Counts, now: int) -> None:
    first, second = decide(state, seen, now), decide(state, seen, now)
    assert first == second
    assert first.inputs["confirmed"] == seen.confirmed
    assert all(value is None or isinstance(value, int | str) for value in first.inputs.values())


@given(states, st.integers(0, 5_000), st.integers(0, 5_000), st.integers(0, 10**7))
def test_silence_never_advances(state: RolloutState, installed: int, due: int, now: int) -> None:
    """Whatever was installed, and however long ago: without a confirmation nothing goes on."""
    seen = Counts(installed, min(due, installed), 0, 0)
    assert decide(state, seen, now).action in ("wait", "hold")


@given(counts(), st.integers(0, 10**6))
def test_more_failures_never_help(seen: Counts, now: int) -> None:
    """If a rollout is halted, it is also halted with more failures; if it goes on, it did so with fewer as well."""
    worse = replace(seen, rolled_back=seen.rolled_back + 1)
    if decide(RUNNING, seen, now).action == "halt":
        assert decide(RUNNING, worse, now).action == "halt"
    if decide(RUNNING, worse, now).action == "advance" and seen.installed_due <= seen.confirmed:
        assert decide(RUNNING, seen, now).action == "advance"


@given(counts(), st.integers(0, 10**6))
def test_more_confirmations_never_hurt(seen: Counts, now: int) -> None:
    better = replace(seen, confirmed=seen.confirmed + 1)
    if decide(RUNNING, seen, now).action == "advance":
        assert decide(RUNNING, better, now).action == "advance"
    if decide(RUNNING, better, now).action == "halt":
        assert decide(RUNNING, seen, now).action in ("halt", "hold", "wait")


@given(counts(), st.integers(1_000, 1_059))
def test_nothing_advances_before_the_soak(seen: Counts, now: int) -> None:
    assert decide(RUNNING, seen, now).action not in ("advance", "complete")


@given(st.sampled_from(["halted", "yanked"]), counts(), st.integers(0, 10**6))
def test_what_is_over_stays_over(state: str, seen: Counts, now: int) -> None:
    assert decide(replace(RUNNING, state=state), seen, now).action == "wait"


@given(counts(), st.integers(0, 10**6))
def test_an_operators_hold_is_only_overruled_by_harm(seen: Counts, now: int) -> None:
    held = replace(RUNNING, state="held", held_by="operator")
    assert decide(held, seen, now).action in ("wait", "halt")


@given(st.integers(1, 10_000), st.integers(0, 10_000), st.integers(1, 4_000))
def test_bounds_hold_the_rate(n: int, hits: int, z: int) -> None:
    hits = min(hits, n)
    low, high = bounds(hits, n, z)
    assert 0 <= low <= hits * 10_000 / n <= high <= 10_000


@pytest.mark.parametrize(
    ("hits", "n", "expected"),
    # Wilson's interval with z = 1.645, from its closed form: 0 of n has the upper bound z²/(n+z²).
    [(0, 10, (0, 2130)), (10, 10, (7870, 10_000)), (1, 2, (1208, 8792)), (0, 0, (0, 10_000))],
)
def test_bounds_known_values(hits: int, n: int, expected: tuple[int, int]) -> None:
    low, high = bounds(hits, n, 1_645)
    assert abs(low - expected[0]) <= 1
    assert abs(high - expected[1]) <= 1


@pytest.mark.parametrize(
    ("seen", "now", "action"),
    [
        (Counts(3, 0, 3, 0), 1_060, "advance"),
        (Counts(3, 0, 2, 0), 1_060, "wait"),
        (Counts(1, 0, 0, 1), 9_999, "hold"),
        (Counts(2, 0, 0, 2), 9_999, "hold"),
        (Counts(3, 0, 0, 3), 1_000, "halt"),
        (Counts(100, 0, 99, 1), 9_999, "advance"),
        (Counts(100, 0, 90, 10), 9_999, "halt"),
        (Counts(50, 50, 10, 0), 9_999, "hold"),
        (Counts(50, 0, 10, 0), 9_999, "advance"),
    ],
    ids=[
        "enough confirmed",
        "too few",
        "one failure holds",
        "two failures hold",
        "three of three halt",
        "one in a hundred is fine",
        "one in ten is not",
        "most fell silent",
        "not silent yet",
    ],
)
def test_cases(seen: Counts, now: int, action: str) -> None:
    assert decide(RUNNING, seen, now).action == action


def test_the_last_stage_completes() -> None:
    last = replace(RUNNING, stage=2)
    assert decide(last, Counts(50, 0, 50, 0), 9_999).action == "complete"


def test_a_complete_rollout_is_still_watched() -> None:
    complete = replace(RUNNING, state="complete", stage=2)
    assert decide(complete, Counts(50, 0, 50, 50), 9_999).action == "halt"
    assert decide(complete, Counts(50, 0, 50, 0), 9_999).action == "wait"


def test_a_hold_for_health_resumes_with_evidence() -> None:
    held = replace(RUNNING, state="held", held_by="health")
    assert decide(held, Counts(60, 0, 60, 1), 9_999).action == "advance"


def test_a_policy_refuses_unknown_names() -> None:
    with pytest.raises(RefusedError, match="max_fialed"):
        Policy.from_json(Fields({"max_fialed": 1}, "rollout policy"))


@given(states, gone, counts(), st.integers(0, 10_000))
def test_nothing_goes_on_with_what_was_taken_back(state: RolloutState, why: str, seen: Counts, now: int) -> None:
    decision = decide(replace(state, release_state=why), seen, now)
    over = state.state in ("halted", "yanked") or (state.state == "complete" and why == "unlisted")
    assert decision.action in ({"wait", "hold", "halt"} if over else {"halt"})
    assert decision.inputs["release_state"] == why
    if not over:
        assert why.removesuffix("ed") in decision.reason or "no device can take it" in decision.reason
