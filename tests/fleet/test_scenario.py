"""Scenarios: the demo's own, and one that a person writes."""

from __future__ import annotations

from pathlib import Path

import pytest

from headway.contract.errors import RefusedError
from headway.fleet.scenario import Recall, Rollout, Wait, demo_scenario, read_scenario

TEXT = """
name = "mine"
seed = 3
networks = ["good", "refused"]
[users]
skewed = 3
balanced = 1
mislabelled = 0
[[releases]]
release = 1
origin = "bundled"
fixture = "topic-1"
[[releases]]
release = 2
origin = "fitted_here"
parent = 1
[releases.fit]
rows = 200
[[steps]]
do = "rollout"
release = 2
stages = [5000, 10000]
min_confirmed = [1, 3]
[[steps]]
do = "recall"
release = 2
reason = "because"
[[steps]]
do = "wait"
hours = 2
"""


def test_a_scenario_in_toml(tmp_path: Path) -> None:
    path = tmp_path / "mine.toml"
    path.write_text(TEXT, encoding="utf-8")
    scenario = read_scenario(path)
    assert scenario.steps == (Rollout(2, (5000, 10_000), (1, 3)), Recall(2, "because"), Wait(2))
    assert scenario.plan(2).fit is not None
    assert scenario.plan(2).fit.rows == 200
    assert scenario.users.count == 4


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ('do = "wait"', 'do = "sleep"', "rollout, personalise, recall, wait"),
        ("seed = 3", "sede = 3", "sede"),
        ("seed = 3", 'seed = "3"', "seed"),
        ('"refused"]', '"sunny"]', "sunny"),
        ("release = 2\nreason", "release = 9\nreason", "release 9"),
        ('fixture = "topic-1"', "", "release 1 needs"),
        ("hours = 2", "hours =", "TOML"),
    ],
)
def test_a_slip_is_named(tmp_path: Path, old: str, new: str, message: str) -> None:
    path = tmp_path / "mine.toml"
    assert old in TEXT
    path.write_text(TEXT.replace(old, new), encoding="utf-8")
    with pytest.raises(RefusedError, match=message):
        read_scenario(path)


@pytest.mark.parametrize("devices", [6, 8, 20, 24, 40])
def test_the_demo_fits_any_fleet(devices: int) -> None:
    scenario = demo_scenario(devices)
    assert scenario.users.count == devices
    assert scenario.checked() is scenario


def test_a_fleet_too_small_to_judge_is_refused() -> None:
    with pytest.raises(RefusedError, match="at least 6"):
        demo_scenario(3)
