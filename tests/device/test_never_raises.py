"""The façade's promise: whatever goes wrong inside, the app gets a value and a head that runs."""

from __future__ import annotations

import threading
from dataclasses import replace

import numpy as np
import pytest

from headway.device.results import Prediction, Unavailable

from .world import NAME, SETTINGS, World, correct, use


def explode(*args: object, **kwargs: object) -> None:
    raise ValueError("quoting what the user typed")


def test_an_app_hook_that_raises_fails_the_trial_and_not_the_app() -> None:
    world = World(settings=replace(SETTINGS, approve=explode))
    world.publish(1, seed=5)
    device = world.device()
    device.poll(force=True)
    assert [answer.release for answer in use(device, 5)] == [1, 1, 1, 0, 0]
    assert device._drivers[NAME].state.outcomes[-1].detail == "judge_error"


def test_an_app_may_veto_or_ask_for_later() -> None:
    said: list[int] = []

    def approve(name: str, release: int, facts: object) -> bool | None:
        said.append(release)
        return None if len(said) < 3 else False

    world = World(settings=replace(SETTINGS, approve=approve))
    world.publish(1, seed=5)
    device = world.device()
    device.poll(force=True)
    assert [answer.release for answer in use(device, 11)] == [1] * 9 + [0] * 2
    assert device._drivers[NAME].state.outcomes[-1].detail == "app_veto"


def test_training_that_raises_anything_changes_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    world = World()
    device = world.device()
    correct(device, 60)
    monkeypatch.setattr("headway.device.training_edge.train", explode)
    result = device.personalise()
    assert (result.status, result.generation) == ("failed", 0)
    assert not device.is_busy
    assert device.predict("你好").release == 0


def test_memory_that_runs_out_in_training_is_a_reason(monkeypatch: pytest.MonkeyPatch) -> None:
    def too_big(*args: object, **kwargs: object) -> None:
        raise MemoryError

    world = World()
    device = world.device()
    correct(device, 60)
    monkeypatch.setattr("headway.device.training_edge.train", too_big)
    assert device.personalise().reason == "out_of_memory"
    assert not device.is_busy


def test_a_poll_that_meets_a_bug_says_so_without_quoting_anybody(monkeypatch: pytest.MonkeyPatch) -> None:
    world = World()
    world.publish(1, seed=5)
    device = world.device()
    monkeypatch.setattr("headway.device.polling.look", explode)
    problem = device.poll(force=True).problem
    assert problem.code == "internal"
    assert "typed" not in problem.message
    monkeypatch.undo()
    assert device.poll(force=True).head(NAME).status == "staged"


@pytest.mark.parametrize("features", [[1.0], np.full(16, np.nan), b"no vector", None, [[1.0] * 16] * 2])
def test_features_that_are_none_get_an_answer_too(features: object) -> None:
    assert isinstance(World().device().predict(features), Unavailable)


@pytest.mark.parametrize("text", ["", " ", "\x00", "💡" * 5000, "a" * 100_000, "\ud800"])
def test_any_text_gets_an_answer(text: str) -> None:
    assert isinstance(World().device().predict(text), Prediction | Unavailable)


def test_an_app_that_sends_outcomes_badly_keeps_them() -> None:
    world = World()
    world.publish(1, seed=5)
    device = world.device()
    device.poll(force=True)
    flushed = device.flush_outcomes(explode)
    assert (flushed.sent, flushed.left, flushed.problem.code) == (0, 1, "internal")
    assert device.flush_outcomes().sent == 1


def test_a_reason_from_the_app_is_made_a_code() -> None:
    world = World()
    world.publish(1, seed=5)
    device = world.device()
    device.poll(force=True)
    use(device, 4)
    device.roll_back("Users say: 很差! ")
    detail = device._drivers[NAME].state.outcomes[-1].detail
    assert detail.isascii()
    assert " " not in detail
    device.close()
    assert world.device().status().release == 0, "the record stays readable"


def test_a_head_that_the_bundle_does_not_have_is_the_one_thing_that_raises() -> None:
    with pytest.raises(KeyError):
        World().device().predict("你好", name="mood")


def test_predicting_while_a_background_thread_polls() -> None:
    world = World()
    world.publish(1, seed=5)
    device = world.device()
    results: list[object] = []

    def poll() -> None:
        for number in range(2, 6):
            device.poll(force=True)
            world.publish(number, seed=number + 4)
            if number == 4:
                world.registry.recall(2)

    thread = threading.Thread(target=poll)
    thread.start()
    while thread.is_alive():
        results += use(device, 3)
    thread.join()
    device.poll(force=True)
    results += use(device, 6)
    assert all(isinstance(answer, Prediction) for answer in results)
    assert device.status().release == 5
    assert device._drivers[NAME].state.at_rest
