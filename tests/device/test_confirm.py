"""The app's own word on a trial: it can bring the judge forward, never take its place; without it a trial waits."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from headway.device import Rules
from headway.device import events as ev
from headway.device.faulty import MemoryFileSystem
from headway.device.state import Phase

from .world import NAME, SETTINGS, TEXTS, World, head_files, use

EXPLICIT = replace(SETTINGS, rules=Rules(explicit_confirm=True))


def test_without_a_trial_there_is_nothing_to_confirm() -> None:
    world = World()
    device = world.device()
    assert device.confirm().status == "no_trial"
    world.publish(1, seed=5)
    device.poll(force=True)
    assert device.confirm().status == "no_trial"  # staged, and nobody asked it anything yet
    assert device.status().phase is Phase.STAGED


def test_the_apps_word_brings_the_judge_forward() -> None:
    world = World()
    world.publish(1, seed=5)
    device = world.device()
    device.poll(force=True)
    assert device.predict(TEXTS[0]).trial
    answer = device.confirm()
    assert (answer.status, answer.release, answer.reason) == ("confirmed", 1, "")
    assert device.status().phase is Phase.CONFIRMED
    assert not device.predict(TEXTS[1]).trial
    assert device.confirm().status == "no_trial"


def test_a_trial_waits_for_the_apps_word_where_the_app_says_so() -> None:
    world = World(settings=EXPLICIT)
    world.publish(1, seed=5)
    device = world.device()
    device.poll(force=True)
    assert all(answer.trial for answer in use(device, 12))
    assert device.status().phase is Phase.TRIAL
    device.close()
    device = world.device()
    assert device.status().phase is Phase.TRIAL  # an exit costs nothing, however often
    # A head that has not answered in this process may not even load any more: the word comes too early.
    assert device.confirm().reason == "not_tried"
    use(device, 1)
    assert device.confirm().status == "confirmed"


def test_saying_nothing_writes_nothing() -> None:
    world = World(settings=EXPLICIT)
    world.publish(1, seed=5)
    device = world.device()
    device.poll(force=True)
    use(device, 4)
    before = device._drivers[NAME].state
    use(device, 8)
    assert device._drivers[NAME].state == before


def test_the_judge_has_the_last_word() -> None:
    world = World(settings=EXPLICIT)
    world.registry.release(1, head_files(5, spoiled="blind_to_a_class"))
    world.registry.offer(1)
    device = world.device()
    device.poll(force=True)
    use(device, 1)
    answer = device.confirm()
    assert (answer.status, answer.release, answer.reason) == ("rolled_back", 1, "class_floor")
    assert device.predict(TEXTS[0]).release == 0


def test_the_hook_is_not_asked_again_after_the_apps_word() -> None:
    asked: list[int] = []
    world = World(settings=replace(SETTINGS, approve=lambda name, release, facts: asked.append(release)))
    world.publish(1, seed=5)
    device = world.device()
    device.poll(force=True)
    use(device, 3)
    assert asked == [1]  # None: later
    assert device.status().phase is Phase.TRIAL
    assert device.confirm().status == "confirmed"
    assert asked == [1]


def test_a_crash_while_judging_costs_an_attempt_like_any_other() -> None:
    world = World(settings=EXPLICIT)
    world.publish(1, seed=5)
    device = world.device()
    device.poll(force=True)
    for left in (2, 1, 0):
        use(device, 1)
        driver = device._drivers[NAME]
        driver._advance(ev.ConfirmAsked())  # saved; the process ends in the middle of the judge
        assert driver.state.attempts.left == left
        device._lock.release()
        device = world.device()
    assert device.status().release == 0
    assert device._drivers[NAME].state.outcomes[-1].detail == "crashed"


def test_a_full_disk_keeps_the_trial_open() -> None:
    files = MemoryFileSystem()
    world = World(settings=EXPLICIT, files=files)
    world.publish(1, seed=5)
    device = world.device()
    device.poll(force=True)
    use(device, 1)
    files.capacity = 0
    answer = device.confirm()
    assert (answer.status, answer.reason) == ("not_yet", "disk_full")
    assert device.status().phase is Phase.TRIAL


@pytest.mark.parametrize("page", ["device.md", "device.zh.md"])
def test_the_page_names_it(page: str) -> None:
    text = (Path(__file__).parents[2] / "docs" / page).read_text()
    assert "`confirm()`" in text
    assert "explicit_confirm" in text
