"""What a device decides about itself: is a head on trial healthy, when to poll, whether to train now."""

from __future__ import annotations

from form import Case, Json, vectors

_HEALTHY: dict[str, object] = {
    "rows": 64,
    "finite": True,
    "feature_deviation": "0.001",
    "probability_deviation": "0.001",
    "agreement": "1",
    "classes": [["film", 20, 19], ["music", 4, 0]],
    "head_bytes": 6400,
    "latency_ms": "0.5",
}


def _health(comment: str, reason: str | None, **change: object) -> Case:
    return {"comment": comment, "flags": ["Health"], "facts": {**_HEALTHY, **change}, "reason": reason}


def _poll(comment: str, call: str, expected: list[int], *, chance: str = "0", **arguments: object) -> Case:
    """``expected`` is next_s, interval_s, failures; now is 1,000,000."""
    return {"comment": comment, "flags": ["Poll"], "call": call, "chance": chance, **arguments, "schedule": expected}


def _due(comment: str, schedule: list[int], now: int, due: bool) -> Case:
    return {"comment": comment, "flags": ["Due"], "schedule": schedule, "now_s": now, "due": due}


def _work(comment: str, reason: str | None, *, samples: int = 50, free: int = 20 * 2**20, **change: object) -> Case:
    conditions = {"idle": True, "charging": True, "thermal": 1, **change}
    return {
        "comment": comment,
        "flags": ["Work"],
        "conditions": conditions,
        "samples": samples,
        "free_bytes": free,
        "reason": reason,
    }


def build() -> Json:
    """``judge_health``, ``Schedule`` and ``why_not_train``."""
    now = 1_000_000
    return vectors(
        "What a device decides about itself, from numbers given to it",
        {
            "Health": "the reason against confirming a head on trial, null where there is none",
            "Poll": "the schedule after a call, as next_s, interval_s, failures",
            "Due": "whether to poll now",
            "Work": "the reason against training now, null where there is none",
        },
        [
            _health("healthy", None),
            _health(
                "at every limit",
                None,
                rows=8,
                feature_deviation="0.02",
                probability_deviation="0.01",
                head_bytes=8 * 2**20,
                latency_ms="25",
                classes=[["a", 6, 3]],
            ),
            _health("NaN", "not_finite", finite=False, feature_deviation="nan"),
            _health("too few rows", "golden_too_small", rows=7),
            _health("features off", "golden_features", feature_deviation="0.0201"),
            _health("features off by NaN", "golden_features", feature_deviation="nan"),
            _health("probabilities off", "golden_probabilities", probability_deviation="0.0101"),
            _health("probabilities off by NaN", "golden_probabilities", probability_deviation="nan"),
            _health("a label disagrees", "golden_agreement", agreement="0.98"),
            _health("agreement of nothing", "golden_agreement", agreement="nan"),
            _health("too large", "too_large", head_bytes=8 * 2**20 + 1),
            _health("too slow", "too_slow", latency_ms="25.1"),
            _health("never ends", "too_slow", latency_ms="inf"),
            _health("a class is lost", "class_floor", classes=[["film", 20, 19], ["music", 6, 2]]),
            _health("a class too small to tell", None, classes=[["music", 4, 0]]),
            _health(
                "the most telling reason first",
                "golden_features",
                feature_deviation="1",
                probability_deviation="1",
                latency_ms="99",
            ),
            _poll("a new install, earliest", "first", [now + 2160, 21_600, 0]),
            _poll("a new install, in the middle", "first", [now + 10_800, 21_600, 0], chance="0.5"),
            _poll("a success, earliest", "success", [now + 19_440, 21_600, 0], poll_after_s=None),
            _poll("a success, in the middle", "success", [now + 3600, 3600, 0], chance="0.5", poll_after_s=3600),
            _poll("a month at most", "success", [now + 2_332_800, 2_592_000, 0], poll_after_s=9_999_999),
            _poll("the first failure", "failure", [now + 30, 3600, 1], before=[0, 3600, 0], retry_after_s=None),
            _poll(
                "the fourth failure",
                "failure",
                [now + 360, 3600, 4],
                chance="0.5",
                before=[0, 3600, 3],
                retry_after_s=None,
            ),
            _poll("a day at most", "failure", [now + 43_200, 3600, 31], before=[0, 3600, 30], retry_after_s=None),
            _poll(
                "the server asks for quiet", "failure", [now + 7200, 3600, 1], before=[0, 3600, 0], retry_after_s=7200
            ),
            _poll(
                "but for a day at most", "failure", [now + 86_400, 3600, 1], before=[0, 3600, 0], retry_after_s=10**9
            ),
            _poll(
                "less than the backoff is no reason to hurry",
                "failure",
                [now + 43_200, 3600, 21],
                before=[0, 3600, 20],
                retry_after_s=1,
            ),
            _due("a second early", [now + 1, 3600, 0], now, False),
            _due("in time", [now, 3600, 0], now, True),
            _due("late", [now - 1, 3600, 0], now, True),
            _due("a day ahead", [now + 86_400, 3600, 0], now, False),
            _due("more than a day ahead: the clock was wrong", [now + 86_401, 3600, 0], now, True),
            _due("two long intervals ahead", [now + 400_000, 200_000, 0], now, False),
            _work("welcome", None),
            _work("too few corrections", "too_few_samples", samples=49, idle=False),
            _work("in use", "not_idle", idle=False, charging=False),
            _work("on battery", "not_charging", charging=False, thermal=3),
            _work("warm", "too_warm", thermal=2, free=0),
            _work("no room", "disk_low", free=20 * 2**20 - 1),
        ],
    )
