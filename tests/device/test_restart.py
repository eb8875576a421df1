"""Every phase × how the process ended × what is found at the next launch: the restart table, row by row."""

from __future__ import annotations

from dataclasses import replace

import pytest

from headway.contract.digests import digest_of
from headway.device import events as ev
from headway.device import record
from headway.device.effects import Collect, Save
from headway.device.machine import RULES, advance, initial_state
from headway.device.state import (
    Attempts,
    DeviceState,
    Floor,
    Generation,
    HeldRelease,
    Host,
    Identity,
    Phase,
    Quarantine,
)

NOW = 1_800_000_000
BASE, OTHER_BASE = digest_of(b"base"), digest_of(b"other base")
HOST = Host(BASE, "22A1")


def held(release: int, base=BASE) -> HeldRelease:
    name = f"{release}".encode()
    return HeldRelease(release, digest_of(b"head" + name), base, digest_of(b"manifest" + name), digest_of(b"labels"))


def generation(number: int, on: HeldRelease, base=BASE) -> Generation:
    return Generation(number, digest_of(f"g{number}".encode()), base, on.head, on.head, "personalised", 50, 20, 1000)


EMBEDDED, R1, R2, R3 = held(0), held(1), held(2), held(3)
EMPTY = initial_state(Identity("notes", "stable", "topic", "ab" * 16), HOST, EMBEDDED)
STABLE = replace(EMPTY, stable=R1, floors=(Floor(BASE, 1, R1.head),))
TRIAL = replace(STABLE, trial=R2)
PERSONAL = replace(STABLE, personal=generation(2, R1), personal_before=generation(1, R1))


def pending(state: DeviceState, left: int) -> DeviceState:
    head = state.running.head
    return replace(state, pending=head, attempts=Attempts(head, left))


def launch(state: DeviceState, host: Host = HOST, embedded: HeldRelease = EMBEDDED) -> DeviceState:
    found = record.from_bytes(record.to_bytes(state))
    new, effects = advance(found, ev.Launched(host, embedded, NOW))
    assert Collect() in effects, "every launch removes strays"
    assert effects[0] == Save() or new.durable == found.durable
    assert new.at_rest
    return new


ROWS = {
    "idle": (EMPTY, EMPTY),
    "checking leaves no trace": (replace(STABLE, activity=Phase.CHECKING), STABLE),
    "downloading: the target is forgotten": (replace(STABLE, activity=Phase.DOWNLOADING, target=R2), STABLE),
    "verifying: the target is forgotten": (
        replace(STABLE, activity=Phase.VERIFYING, target=R2, checks=Attempts(R2.head, 2)),
        replace(STABLE, checks=Attempts(R2.head, 2)),
    ),
    "staged waits on": (replace(STABLE, staged=R2), replace(STABLE, staged=R2)),
    "trial, killed by the user": (replace(TRIAL, live=1), replace(TRIAL, live=1)),
    "trial, crashed at its first load": (pending(TRIAL, 2), replace(TRIAL, attempts=Attempts(R2.head, 2))),
    "confirmed": (STABLE, STABLE),
    "confirmed, crashed once": (pending(STABLE, 2), replace(STABLE, attempts=Attempts(R1.head, 2))),
    "rolling back is finished": (replace(STABLE, leaving=R2.head), STABLE),
    "personalising: nothing changed": (
        replace(PERSONAL, activity=Phase.PERSONALISING, training_left=2),
        replace(PERSONAL, training_left=2),
    ),
    "judging: the candidate goes": (
        replace(PERSONAL, activity=Phase.JUDGING, candidate=generation(3, R1), training_left=2),
        replace(PERSONAL, training_left=2),
    ),
    "rebasing is still due": (
        replace(PERSONAL, stable=R2, previous=R1, activity=Phase.REBASING, rebase_due="merge", training_left=2),
        replace(PERSONAL, stable=R2, previous=R1, rebase_due="merge", training_left=2),
    ),
}


@pytest.mark.parametrize("row", ROWS, ids=[r.replace(" ", "-") for r in ROWS])
def test_restart_table(row: str) -> None:
    found, expected = ROWS[row]
    after = launch(found)
    assert replace(after, saves=0) == replace(expected, saves=0)


def test_the_third_crash_of_a_trial_rolls_it_back() -> None:
    after = launch(pending(TRIAL, 0))
    assert after.trial is None
    assert after.running == R1
    assert after.is_quarantined(R2.head, NOW)
    assert [(o.kind, o.detail, o.release) for o in after.outcomes] == [("rolled_back", "crashed", 2)]


def test_a_confirmed_head_that_crashes_three_times_in_a_row_is_left_for_the_one_before() -> None:
    after = launch(pending(replace(STABLE, stable=R2, previous=R1), 0))
    assert after.stable == R1
    assert after.is_quarantined(R2.head, NOW)


def test_a_generation_that_crashes_three_times_in_a_row_gives_way_to_the_one_before() -> None:
    after = launch(pending(PERSONAL, 0))
    assert after.generation == generation(1, R1)
    assert after.stable == R1
    assert after.quarantine == ()


def test_a_model_that_ends_the_verifier_three_times_is_quarantined() -> None:
    after = launch(replace(STABLE, activity=Phase.VERIFYING, target=R2, checks=Attempts(R2.head, 0)))
    assert after.is_quarantined(R2.head, NOW)
    assert after.outcomes[-1].detail == "verify_crashed"


def test_a_rebase_that_dies_three_times_leaves_the_release() -> None:
    found = replace(PERSONAL, stable=R2, previous=R1, activity=Phase.REBASING, rebase_due="merge", training_left=0)
    after = launch(found)
    assert after.rebase_due is None
    assert after.running == R2
    assert after.outcomes[-1].kind == "rebased"


def test_another_base_in_the_app_update_drops_what_was_proven_on_the_old_one() -> None:
    new = held(0, OTHER_BASE)
    after = launch(replace(PERSONAL, staged=R2), Host(OTHER_BASE, "22A1"), new)
    assert after.running == new
    assert (after.stable, after.staged, after.personal) == (None, None, None)
    assert {o.detail for o in after.outcomes} == {"base_not_present"}
    assert after.floors == STABLE.floors, "the floor of the old base stays for a way back"


def test_a_newer_embedded_head_supersedes_older_releases() -> None:
    newer = held(5)
    after = launch(replace(TRIAL, staged=R3), embedded=newer)
    assert after.running == newer
    assert (after.stable, after.trial, after.staged) == (None, None, None)


def test_another_system_build_gives_a_quarantined_head_another_chance() -> None:
    quarantined = replace(STABLE, quarantine=(Quarantine(R2.head, BASE, "22A1", NOW + 1000),))
    assert launch(quarantined).is_quarantined(R2.head, NOW)
    assert not launch(quarantined, Host(BASE, "22B7")).is_quarantined(R2.head, NOW)


def test_a_crash_under_the_old_system_is_not_counted_against_the_new_one() -> None:
    after = launch(pending(TRIAL, 0), Host(BASE, "22B7"))
    assert after.trial == R2
    assert after.attempts is None


def test_a_quarantine_written_by_a_clock_years_ahead_ends_like_a_fresh_one() -> None:
    far = replace(STABLE, quarantine=(Quarantine(R2.head, BASE, "22A1", NOW + 10**9),))
    assert launch(far).quarantine[0].until_s == NOW + RULES.quarantine_s


def test_the_loop_breaker_falls_back_to_the_embedded_head_and_keeps_what_must_not_be_lost() -> None:
    looping = replace(pending(TRIAL, 2), saves=RULES.max_saves, clock_floor_s=77)
    after = launch(looping)
    assert after.running == EMBEDDED
    assert after.is_quarantined(R2.head, NOW)
    assert after.outcomes[-1].detail == "loop"
    assert (after.floors, after.clock_floor_s, after.saves) == (looping.floors, 77, 0)


def test_an_unknown_phase_rolls_back_what_was_not_confirmed() -> None:
    body = record.to_bytes(replace(TRIAL, staged=R3)).partition(b"\n")[2].removesuffix(b"\n")
    body = body.replace(b'"activity":0', b'"activity":99')
    found = record.from_bytes(digest_of(body).encode() + b"\n" + body + b"\n")
    assert (found.trial, found.staged, found.stable) == (None, None, R1)


@pytest.mark.parametrize("phase", Phase)
def test_phase_numbers_are_fixed_for_ever(phase: Phase) -> None:
    numbers = {
        "IDLE": 0,
        "CHECKING": 1,
        "DOWNLOADING": 2,
        "VERIFYING": 3,
        "STAGED": 4,
        "TRIAL": 5,
        "CONFIRMED": 6,
        "ROLLING_BACK": 7,
        "PERSONALISING": 8,
        "JUDGING": 9,
        "REBASING": 10,
    }
    assert phase == numbers[phase.name]


def test_phases_are_named_by_what_goes_on() -> None:
    assert [s.phase for s in (EMPTY, STABLE, TRIAL, replace(STABLE, staged=R2))] == [
        Phase.IDLE,
        Phase.CONFIRMED,
        Phase.TRIAL,
        Phase.STAGED,
    ]
    assert replace(TRIAL, leaving=R2.head).phase is Phase.ROLLING_BACK
