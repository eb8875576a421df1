"""One clear sentence for every decision, in two languages, true to what was decided."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from headway.contract.channel import ChannelDocument, Offer, Recall
from headway.contract.compat import SENTENCES, HostProfile, Reason
from headway.contract.digests import digest_of
from headway.contract.explain import DeviceProfile, explain
from headway.contract.rollout import EVERYONE, Rollout
from headway.contract.targets import HeadTarget, ProvenBase
from headway.contract.telling import tell, tell_reasons

BASE, CONTRACT = digest_of(b"base"), digest_of(b"contract")
HOST = HostProfile("reader", BASE, CONTRACT, (17, 0, 0), 10)


def head(release: int, **changes: Any) -> HeadTarget:
    facts: dict[str, Any] = {
        "app": "reader", "base_id": "kd", "name": "topic", "release": release,
        "head": digest_of(f"head {release}".encode()), "parent": None, "contract": CONTRACT,
        "bases": (ProvenBase(BASE, digest_of(b"proof")),), "labels": digest_of(b"labels"), "num_classes": 3,
        "min_os": (15, 0, 0), "max_os": None, "min_app_build": 0, "status": "live", "rebase": "replay", "bytes": 9,
    }  # fmt: skip
    return HeadTarget(**{**facts, **changes})


def document(*offers: Offer, recalls: tuple[int, ...] = ()) -> ChannelDocument:
    recalled = tuple(Recall(head(number).head, "bad") for number in recalls)
    return ChannelDocument("reader", "stable", "kd", 1, 3600, offers, recalled, {})


def offer(release: int, state: str = "active", rollout: Rollout = EVERYONE) -> Offer:
    return Offer("topic", release, state, rollout)


def told(channel: ChannelDocument, *heads: HeadTarget, **profile: Any) -> tuple[str, str]:
    device = DeviceProfile(HOST, "an install", **profile)
    return tell("topic", device, explain("topic", device, channel, heads), channel, heads)


@pytest.mark.parametrize(
    ("found", "english", "chinese"),
    [
        (
            told(document(offer(1)), head(1)),
            "It takes topic@1 in place of its embedded head.",
            "它接受 topic@1，取代内嵌的分类头。",
        ),
        (
            told(document(offer(1)), head(1), current_release=1),
            "It keeps topic@1; nothing newer is offered.",
            "它保留 topic@1；没有提供更新的版本。",
        ),
        (
            told(document(offer(1), offer(2, "halted")), head(1), head(2), current_release=1),
            "It keeps topic@1; topic@2 is not for it: The rollout is halted.",
            "它保留 topic@1；topic@2 不适用：灰度发布已停止。",
        ),
        (
            told(document(), current_release=1),
            "It keeps topic@1: The channel offers no head of this name.",
            "它保留 topic@1：通道没有提供这个名称的分类头。",
        ),
        (
            told(document(offer(2), recalls=(2,)), head(2), current_release=2),
            "It leaves topic@2 for the release before it, or the embedded head: The release is recalled.",
            "它放弃 topic@2，退回之前的版本或内嵌的分类头：这个版本已被召回。",
        ),
        (
            told(document(offer(1), offer(2)), head(1), head(2, status="revoked"), current_release=2),
            "It takes topic@1; topic@2 is to be left: The publisher revoked the release.",
            "它接受 topic@1；须放弃 topic@2：发布者已撤销这个版本。",
        ),
    ],
)
def test_sentences(found: tuple[str, str], english: str, chinese: str) -> None:
    assert found == (english, chinese)


@given(
    current=st.integers(0, 4),
    offered=st.sets(st.integers(1, 4)),
    halted=st.sets(st.integers(1, 4)),
    revoked=st.sets(st.integers(1, 4)),
    recalled=st.sets(st.integers(1, 4)),
    failed=st.sets(st.integers(1, 4)),
    stale=st.booleans(),
)
def test_every_decision_has_a_sentence_that_is_true_to_it(
    current: int,
    offered: set[int],
    halted: set[int],
    revoked: set[int],
    recalled: set[int],
    failed: set[int],
    stale: bool,
) -> None:
    heads = [head(number, status="revoked" if number in revoked else "live") for number in range(1, 5)]
    offers = [offer(number, "halted" if number in halted else "active") for number in sorted(offered)]
    channel = document(*offers, recalls=tuple(sorted(recalled)))
    quarantined = frozenset(head(number).head for number in failed)
    device = DeviceProfile(
        HOST, "id", current_release=current, floor_release=current, quarantined=quarantined, metadata_expired=stale
    )
    choice = explain("topic", device, channel, heads)
    english, chinese = tell("topic", device, choice, channel, heads)
    assert english.endswith(".")
    assert chinese.endswith("。")
    leaves = current in revoked | recalled
    takes = choice.chosen is not None and (choice.chosen.release > current or leaves)
    assert english.startswith("It takes" if takes else "It leaves" if leaves else "It keeps")
    assert not takes or f"topic@{choice.chosen.release}" in english.split(";")[0]


def test_every_reason_can_be_told() -> None:
    assert set(SENTENCES) == set(Reason)
    assert tell_reasons(()) == ("", "")
