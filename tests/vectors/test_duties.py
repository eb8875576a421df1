"""Health, polling and heavy work in Python, over the vectors that Swift runs too."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from headway.device.health import ClassScore, HealthFacts, Unhealthy, judge_health
from headway.device.policy import (
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

FILE = Path(__file__).resolve().parents[2] / "ios_fixtures" / "vectors" / "device_duties.json"
CASES = json.loads(FILE.read_text())["cases"]
NOW = 1_000_000


def of(flag: str) -> pytest.MarkDecorator:
    chosen = [case for case in CASES if flag in case["flags"]]
    return pytest.mark.parametrize("case", chosen, ids=[case["comment"] for case in chosen])


@of("Health")
def test_health(case: dict[str, Any]) -> None:
    facts = dict(case["facts"])
    facts["classes"] = tuple(ClassScore(*score) for score in facts["classes"])
    for name in ("feature_deviation", "probability_deviation", "agreement", "latency_ms"):
        facts[name] = float(facts[name])
    verdict = judge_health(HealthFacts(**facts))
    assert (verdict.reason if isinstance(verdict, Unhealthy) else None) == case["reason"]


@of("Poll")
def test_poll(case: dict[str, Any]) -> None:
    policy, chance = PollPolicy(), float(case["chance"])
    found = {
        "first": lambda: first_poll(policy, NOW, chance),
        "success": lambda: after_success(policy, case["poll_after_s"], NOW, chance),
        "failure": lambda: after_failure(policy, Schedule(*case["before"]), NOW, case["retry_after_s"], chance),
    }[case["call"]]()
    assert [found.next_s, found.interval_s, found.failures] == case["schedule"]


@of("Due")
def test_due(case: dict[str, Any]) -> None:
    assert is_due(Schedule(*case["schedule"]), case["now_s"]) is case["due"]


@of("Work")
def test_work(case: dict[str, Any]) -> None:
    conditions = Conditions(**case["conditions"])
    assert why_not_train(HeavyWorkPolicy(), conditions, case["samples"], case["free_bytes"]) == case["reason"]
