"""What a key vouched for, as rows of the registry tell it."""

from __future__ import annotations

from typing import Any

from headway.contract.digests import digest_of
from headway.publisher.vouched import vouched_by

THIEF, ANN = "ab" * 32, "cd" * 32


def head(release: int, state: str, *keyids: str, name: str = "topic") -> dict[str, Any]:
    envelope = {"payload": "", "signatures": [{"keyid": keyid, "sig": ""} for keyid in keyids]} if keyids else None
    digest = digest_of(f"{name} {release}".encode())
    return {"base_id": "kd", "name": name, "release": release, "head": digest, "state": state, "provenance": envelope}


def rollout(release: int, channel: str, confirmed: int) -> dict[str, Any]:
    return {
        "base_id": "kd",
        "name": "topic",
        "release": release,
        "channel": channel,
        "counts": {"installed": confirmed + 1, "confirmed": confirmed},
    }


def test_each_release_of_a_key_comes_with_what_orders_it_off() -> None:
    heads = [
        head(1, "unlisted", THIEF),
        head(2, "live", THIEF, ANN),
        head(3, "live", ANN),
        head(4, "revoked", THIEF),
        head(5, "registered", THIEF),
        head(6, "live"),
    ]
    rollouts = [rollout(1, "stable", 7), rollout(1, "beta", 2), rollout(2, "stable", 90), rollout(3, "stable", 4)]
    found = vouched_by(THIEF, heads, rollouts)
    assert [(v.release, v.signed, v.confirmed) for v in found] == [
        (2, True, 90),
        (1, True, 9),
        (5, True, 0),
        (4, True, 0),
        (6, False, 0),
    ]
    commands = {v.release: v.commands for v in found}
    assert commands[2] == ("headway heads revoke topic@2 --base-id kd",)
    assert commands[1] == (
        "headway channels recall topic@1 --base-id kd --channel beta --reason 'revoked key'",
        "headway channels recall topic@1 --base-id kd --channel stable --reason 'revoked key'",
    )
    assert commands[4] == commands[5] == ()
    assert commands[6] == ("headway heads revoke topic@6 --base-id kd",)


def test_nothing_of_a_key() -> None:
    assert vouched_by(THIEF, [head(1, "live", ANN)], []) == ()
