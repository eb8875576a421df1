"""People: whole dialogues of a public corpus dealt out to devices, by topic, with a fixed seed.

Rules that always hold: a dialogue belongs to one user at most; a user's training and held-out texts come from
different dialogues, so nothing said in one leaks into the other; labels are the corpus's own, except for users
declared ``mislabelled``, whose *training* labels are wrong on purpose while their held-out labels stay right.

What it does not do: invent text. How people differ here is *what they talk about*, nothing else.
"""

from __future__ import annotations

import random
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from headway.contract.errors import RefusedError
from headway.fleet.corpus import Utterance

KINDS = ("skewed", "balanced", "mislabelled")


@dataclass(frozen=True, slots=True)
class UserPlan:
    """How many users of each kind, and how they are made.

    ``alpha`` is the concentration of the Dirichlet distribution over labels (smaller: more one-sided);
    ``dialogues`` is how many each user has, about half of them to train on.
    """

    skewed: int
    balanced: int
    mislabelled: int
    alpha: float = 0.3
    dialogues: int = 7

    @property
    def count(self) -> int:
        """All users."""
        return self.skewed + self.balanced + self.mislabelled


@dataclass(frozen=True, slots=True)
class User:
    """One person. ``corrections`` is what the device may train on: (text, label given by this person)."""

    kind: str
    corrections: tuple[tuple[str, str], ...]
    held_out: tuple[Utterance, ...]
    mix: dict[str, int]
    dialogues: frozenset[str]


def deal(utterances: Iterable[Utterance], plan: UserPlan, seed: int) -> tuple[User, ...]:
    """Deal dialogues out to users.

    Raises:
        RefusedError: code ``too_few_dialogues``.
    """
    dialogues: dict[str, list[Utterance]] = {}
    for utterance in utterances:
        dialogues.setdefault(utterance.dialogue, []).append(utterance)
    if len(dialogues) < plan.count * plan.dialogues:
        raise RefusedError(
            "too_few_dialogues",
            f"{plan.count} users with {plan.dialogues} dialogues each need more than the {len(dialogues)} there are.",
            hint="Use fewer devices, or fewer dialogues for each.",
        )
    rng = random.Random(f"users:{seed}")
    stacks = _stacks(dialogues, rng)
    kinds = ["skewed"] * plan.skewed + ["balanced"] * plan.balanced + ["mislabelled"] * plan.mislabelled
    users: dict[int, User] = {}
    # The choosy first, so that the last user is not left with one topic against its kind.
    for index in sorted(range(len(kinds)), key=lambda i: kinds[i] == "skewed"):
        users[index] = _user(kinds[index], stacks, plan, rng)
    ordered = [users[index] for index in range(len(kinds))]
    rng.shuffle(ordered)
    return tuple(ordered)


def _stacks(dialogues: dict[str, list[Utterance]], rng: random.Random) -> dict[str, list[list[Utterance]]]:
    stacks: dict[str, list[list[Utterance]]] = {}
    for name in sorted(dialogues):
        stacks.setdefault(dialogues[name][0].label, []).append(dialogues[name])
    for label in sorted(stacks):
        rng.shuffle(stacks[label])
    return stacks


def _user(kind: str, stacks: dict[str, list[list[Utterance]]], plan: UserPlan, rng: random.Random) -> User:
    labels = sorted(stacks)
    shares = _dirichlet(rng, len(labels), plan.alpha) if kind == "skewed" else [1 / len(labels)] * len(labels)
    wanted = _allot(shares, plan.dialogues)
    taken = [_take(stacks, label) for label, count in zip(labels, wanted, strict=True) for _ in range(count)]
    # Alternating keeps both halves alike in topics: the question is what a person's own text teaches, not a shift.
    taken.sort(key=lambda dialogue: dialogue[0].label)
    train = [utterance for dialogue in taken[0::2] for utterance in dialogue]
    # People do not finish one subject before the next; an order of their own moves nobody else's luck.
    random.Random(f"order:{taken[0][0].dialogue}").shuffle(train)
    held_out = [utterance for dialogue in taken[1::2] for utterance in dialogue]
    mix = {label: sum(u.label == label for u in (*train, *held_out)) for label in labels}
    names = frozenset(dialogue[0].dialogue for dialogue in taken)
    return User(kind, _corrections(kind, train, labels), tuple(held_out), mix, names)


def _corrections(kind: str, train: Sequence[Utterance], labels: list[str]) -> tuple[tuple[str, str], ...]:
    if kind != "mislabelled":
        return tuple((u.text, u.label) for u in train)
    return tuple((u.text, labels[(labels.index(u.label) + 1) % len(labels)]) for u in train)


def _take(stacks: dict[str, list[list[Utterance]]], label: str) -> list[Utterance]:
    """A dialogue of ``label``; where none is left, of the label that has most."""
    source = label if stacks[label] else max(sorted(stacks), key=lambda name: len(stacks[name]))
    return stacks[source].pop()


def _dirichlet(rng: random.Random, size: int, alpha: float) -> list[float]:
    draws = [rng.gammavariate(alpha, 1.0) for _ in range(size)]
    whole = sum(draws)
    return [draw / whole for draw in draws] if whole > 0 else [1 / size] * size


def _allot(shares: Sequence[float], whole: int) -> list[int]:
    """Whole numbers near ``shares`` × ``whole`` that add up to it (largest remainders)."""
    counts = [int(share * whole) for share in shares]
    by_remainder = sorted(range(len(shares)), key=lambda i: counts[i] - shares[i] * whole)
    for index in by_remainder[: whole - sum(counts)]:
        counts[index] += 1
    return counts
