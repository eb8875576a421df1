"""People: dealt out by dialogue, the same for the same seed, nothing shared between training and held-out text."""

from __future__ import annotations

import pytest

from headway.contract.errors import RefusedError
from headway.fleet.corpus import Utterance, count_labels, find_fixtures, read_utterances
from headway.fleet.users import User, UserPlan, deal

PLAN = UserPlan(skewed=17, balanced=6, mislabelled=1)


@pytest.fixture(scope="module")
def test_split() -> tuple[Utterance, ...]:
    return read_utterances(find_fixtures().split("test"))


@pytest.fixture(scope="module")
def users(test_split: tuple[Utterance, ...]) -> tuple[User, ...]:
    return deal(test_split, PLAN, seed=7)


def test_the_split_is_what_its_notice_says(test_split: tuple[Utterance, ...]) -> None:
    assert len(test_split) == 3898
    assert set(count_labels(test_split)) == {"film", "music", "travel"}


def test_everybody_has_enough_to_train_and_to_be_measured_on(users: tuple[User, ...]) -> None:
    assert [sum(u.kind == kind for u in users) for kind in ("skewed", "balanced", "mislabelled")] == [17, 6, 1]
    assert min(len(u.corrections) for u in users) >= 50
    assert min(len(u.held_out) for u in users) >= 40


def test_equal_seeds_give_equal_people(test_split: tuple[Utterance, ...], users: tuple[User, ...]) -> None:
    assert deal(test_split, PLAN, seed=7) == users
    assert deal(test_split, PLAN, seed=8) != users


def test_no_dialogue_serves_two_people_or_two_purposes(
    test_split: tuple[Utterance, ...], users: tuple[User, ...]
) -> None:
    held_out = [{u.dialogue for u in user.held_out} for user in users]
    assert sum(len(names) for names in held_out) == len(set().union(*held_out))
    by_dialogue: dict[str, list[str]] = {}
    for utterance in test_split:
        by_dialogue.setdefault(utterance.dialogue, []).append(utterance.text)
    for user in users:
        trained = [text for text, _ in user.corrections]
        for name in {u.dialogue for u in user.held_out}:
            # Short replies recur between people; whole dialogues must not.
            assert not set(by_dialogue[name]) <= set(trained)


def test_only_the_mislabelled_are_wrong(test_split: tuple[Utterance, ...], users: tuple[User, ...]) -> None:
    truth: dict[str, set[str]] = {}
    for utterance in test_split:
        truth.setdefault(utterance.text, set()).add(utterance.label)
    for user in users:
        right = sum(label in truth[text] for text, label in user.corrections) / len(user.corrections)
        assert right < 0.1 if user.kind == "mislabelled" else right == 1
        assert all(u.label in truth[u.text] for u in user.held_out)


def test_skewed_people_are_skewed_and_controls_are_not(users: tuple[User, ...]) -> None:
    def largest(user: User) -> float:
        return max(user.mix.values()) / sum(user.mix.values())

    skewed = [largest(u) for u in users if u.kind == "skewed"]
    balanced = [largest(u) for u in users if u.kind == "balanced"]
    assert sum(skewed) / len(skewed) > max(balanced) > 0.33


def test_too_many_people_for_the_text_are_refused(test_split: tuple[Utterance, ...]) -> None:
    with pytest.raises(RefusedError, match="dialogues"):
        deal(test_split, UserPlan(40, 0, 0), seed=1)
