"""Channel documents."""

from __future__ import annotations

import json

from form import Case, Json, canonical, digest, vectors, without

ROLLOUT: dict[str, object] = {"salt": "r-17", "permyriad": 1000, "pins": ["qa"], "excludes": ["kiosk"]}
OFFER: dict[str, object] = {"name": "topic", "release": 17, "state": "active", "rollout": ROLLOUT}
GOOD: dict[str, object] = {
    "schema": 1,
    "app": "headway-demo",
    "channel": "stable",
    "base_id": "kdconv-mobilebert",
    "epoch": 3,
    "poll_after_s": 3600,
    "offers": [OFFER, {**OFFER, "release": 16, "rollout": {**ROLLOUT, "permyriad": 10_000}}],
    "recalls": [{"digest": digest("head 15"), "reason": "wrong labels"}],
    "personalise": {"topic": "hold"},
}


def _good(
    comment: str,
    change: dict[str, object],
    directives: dict[str, str],
    recalled: list[str],
    read: dict[str, object] | None = None,
) -> Case:
    value = {**GOOD, **change}
    return {
        "comment": comment,
        "flags": ["Good"],
        "json": json.dumps(value),
        "valid": True,
        "canonical": canonical(read or value),
        "directives": directives,
        "recalled": recalled,
    }


def _bad(flag: str, comment: str, value: dict[str, object]) -> Case:
    return {"comment": comment, "flags": [flag], "json": json.dumps(value), "valid": False}


def build() -> Json:
    """``ChannelDocument``."""
    recalled = [digest("head 15")]
    wrong: list[tuple[str, dict[str, object]]] = [
        ("a newer schema", {"schema": 2}),
        ("an app that is no name", {"app": "Demo"}),
        ("a channel that is no name", {"channel": "stable/.."}),
        ("epoch 0", {"epoch": 0}),
        ("poll at once", {"poll_after_s": 0}),
        ("poll never", {"poll_after_s": 30 * 86_400 + 1}),
        ("offers as object", {"offers": {}}),
        ("a release offered twice", {"offers": [OFFER, {**OFFER, "state": "held"}]}),
        ("1,001 recalls", {"recalls": [{"digest": digest("x"), "reason": ""}] * 1001}),
        ("a recall by name", {"recalls": [{"digest": "topic@15", "reason": ""}]}),
        ("a recall without reason", {"recalls": [{"digest": digest("x")}]}),
        ("a reason of 501", {"recalls": [{"digest": digest("x"), "reason": "x" * 501}]}),
        ("a reason past ASCII", {"recalls": [{"digest": digest("x"), "reason": "标签错误"}]}),
        ("another directive", {"personalise": {"topic": "stop"}}),
        ("a directive for no name", {"personalise": {"Topic": "hold"}}),
        ("personalise as list", {"personalise": []}),
    ]
    wrong_offers: list[tuple[str, dict[str, object]]] = [
        ("release 0", {"release": 0}),
        ("a release as text", {"release": "17"}),
        ("another state", {"state": "paused"}),
        ("a name that is none", {"name": ""}),
        ("no rollout", {"rollout": None}),
        ("more than all", {"rollout": {**ROLLOUT, "permyriad": 10_001}}),
        ("less than none", {"rollout": {**ROLLOUT, "permyriad": -1}}),
        ("a share as fraction", {"rollout": {**ROLLOUT, "permyriad": 0.1}}),
        ("a salt of 65", {"rollout": {**ROLLOUT, "salt": "x" * 65}}),
        ("a salt past ASCII", {"rollout": {**ROLLOUT, "salt": "盐"}}),
        ("pins as text", {"rollout": {**ROLLOUT, "pins": "qa"}}),
        ("a pin as number", {"rollout": {**ROLLOUT, "pins": [1]}}),
        ("101 excludes", {"rollout": {**ROLLOUT, "excludes": ["x"] * 101}}),
    ]
    return vectors(
        "Channel documents: what the online key may say",
        {"Good": "a document", "Missing": "a field is missing", "Wrong": "a field has no meaning"},
        [
            _good("as served", {}, {"topic": "hold", "other": "allow"}, recalled),
            _good("quiet", {"offers": [], "recalls": [], "personalise": {}}, {"topic": "allow"}, []),
            _good(
                "every state",
                {
                    "offers": [
                        {**OFFER, "release": r, "state": s} for r, s in ((1, "active"), (2, "held"), (3, "halted"))
                    ]
                },
                {"topic": "hold"},
                recalled,
            ),
            _good(
                "one release number of two heads",
                {"offers": [OFFER, {**OFFER, "name": "mood"}]},
                {"mood": "allow"},
                recalled,
            ),
            _good(
                "every directive",
                {"personalise": {"a": "allow", "b": "hold", "c": "discard"}},
                {"a": "allow", "b": "hold", "c": "discard", "d": "allow"},
                recalled,
            ),
            _good(
                "a recall twice",
                {"recalls": [{"digest": digest("x"), "reason": "a"}, {"digest": digest("x"), "reason": "b"}]},
                {},
                [digest("x")],
            ),
            _good("the longest poll", {"poll_after_s": 30 * 86_400}, {}, recalled),
            _good("unknown fields are ignored", {"later": 1}, {}, recalled, GOOD),
            *(_bad("Missing", f"without {n}", without(GOOD, n)) for n in GOOD),
            *(_bad("Missing", f"an offer without {n}", {**GOOD, "offers": [without(OFFER, n)]}) for n in OFFER),
            *(
                _bad(
                    "Missing", f"a rollout without {n}", {**GOOD, "offers": [{**OFFER, "rollout": without(ROLLOUT, n)}]}
                )
                for n in ROLLOUT
            ),
            *(_bad("Wrong", c, {**GOOD, **change}) for c, change in wrong),
            *(_bad("Wrong", f"an offer: {c}", {**GOOD, "offers": [{**OFFER, **change}]}) for c, change in wrong_offers),
        ],
    )
