"""What personalisation brings and what it costs, on real dialogues, through the real base and head files.

People are dealt whole dialogues of KdConv's test split, the only one that the bundled heads were not fitted on
(`headway.fleet.users`): skewed users talk mostly of
one topic, balanced ones of all, mislabelled ones correct wrongly on purpose. Each trains the bundled head exactly as
a device does (`headway.device.personalise`, `headway.device.judge`); what the judge rejects changes nothing. Measured
per user, before and after: accuracy on their own held-out dialogues, and on a balanced control set of other people's
dialogues. Intervals are 95 %, bootstrapped over users.

    python benchmarks/personalisation.py [--head topic-1] [--sweep] [--out benchmarks/results/personalisation.md]
"""

from __future__ import annotations

import argparse
import random
import sys
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from headway.contract.errors import HeadwayError
from headway.contract.features import FeatureContract
from headway.contract.tokenizer import Tokenizer
from headway.coreml.features import Features
from headway.coreml.golden import read_head_golden
from headway.coreml.model import MLModel
from headway.device.judge import JudgePolicy, judge_candidate
from headway.device.models import read_labels
from headway.device.personalise import LabelledRows, Material, PersonalisePolicy, halves, measure_rows, train
from headway.device.samples import Sample, SampleLimits, side_of
from headway.fleet.corpus import Utterance, find_fixtures, read_utterances
from headway.fleet.users import User, UserPlan, deal

LIMITS = SampleLimits()
PLAN = UserPlan(skewed=14, balanced=6, mislabelled=4, alpha=0.3, dialogues=7)
CONTROL_PER_CLASS = 100


@dataclass(frozen=True)
class Bench:
    """Everything that does not depend on the policy."""

    head: MLModel
    labels: tuple[str, ...]
    golden: LabelledRows
    users: tuple[User, ...]
    features: dict[str, np.ndarray]
    texts: tuple[Utterance, ...]
    space: str

    def rows(self, pairs: Iterable[tuple[str, str]]) -> LabelledRows:
        """Features and labels of (text, label) pairs."""
        listed = [(text, label) for text, label in pairs if label in self.labels]
        return LabelledRows(
            np.stack([self.features[text] for text, _ in listed]) if listed else np.zeros((0, 1), np.float32),
            np.array([self.labels.index(label) for _, label in listed], np.int32),
        )


@dataclass(frozen=True)
class Row:
    """One user: accuracies on their own held-out texts and on the controls, before and after, and what was decided."""

    kind: str
    corrections: int
    own_before: float
    own_after: float
    control_before: float
    control_after: float
    decision: str
    seconds: float


def _features(base: Features, texts: Sequence[str], space: str, cache: Path | None) -> np.ndarray:
    """Features of all texts, from ``cache`` if it was made with the same base."""
    if cache is not None and cache.is_file():
        with np.load(cache) as kept:
            if str(kept["space"]) == space and len(kept["rows"]) == len(texts):
                return np.array(kept["rows"])
    start = time.perf_counter()
    rows = base.of(texts)
    print(f"features of {len(texts)} texts: {time.perf_counter() - start:.0f} s", file=sys.stderr)
    if cache is not None:
        np.savez(cache, rows=rows, space=np.array(space))
    return rows


def load(head_name: str, cache: Path | None, seed: int) -> Bench:
    """Read base, head and text, and compute every feature once."""
    fixtures = find_fixtures()
    contract = FeatureContract.from_bytes((fixtures.base / "contract.json").read_bytes())
    tokenizer = Tokenizer.from_vocab(fixtures.base / "vocab.txt")
    base = Features(fixtures.base / "base.mlpackage", tokenizer, contract)
    folder = fixtures.head(head_name)
    golden = read_head_golden(folder / "golden.safetensors")
    texts = tuple(read_utterances(fixtures.split("test")))
    unique = sorted({u.text for u in texts})
    users = deal(texts, PLAN, seed)
    matrix = _features(base, unique, contract.feature_space, cache)
    return Bench(
        head=MLModel(folder / "head.mlmodel"),
        labels=read_labels((folder / "labels.json").read_bytes()),
        golden=LabelledRows(base.of_ids(golden.input_ids, golden.attention_mask), golden.labels),
        users=users,
        features=dict(zip(unique, matrix, strict=True)),
        texts=texts,
        space=contract.feature_space,
    )


def one_user(bench: Bench, user: User, policy: PersonalisePolicy, judging: JudgePolicy, seed: int) -> Row:
    """Train and judge for one user as a device does."""
    samples = {s.id: s for s in (Sample(text, label, 0) for text, label in user.corrections)}.values()
    parts = {
        side: bench.rows((s.text, s.label) for s in samples if side_of(s, LIMITS) == side)
        for side in ("train", "tune", "judge")
    }
    rehearse, guard = halves(bench.golden)
    own = bench.rows((u.text, u.label) for u in user.held_out)
    control = bench.rows(control_of(bench, user, seed))
    before = measure_rows(bench.head, own).accuracy, measure_rows(bench.head, control).accuracy
    started, after, decision = time.perf_counter(), bench.head, "accepted"
    try:
        trained = train(bench.head, Material(parts["train"], parts["tune"], rehearse, guard), policy)
        judged = [measure_rows(m, part) for part in (parts["judge"], guard) for m in (bench.head, trained.model)]
        verdict = judge_candidate(judged[0], judged[1], judged[2], judged[3], judging)
        after, decision = (trained.model, "accepted") if verdict.accepted else (bench.head, verdict.reason)
    except HeadwayError as error:
        decision = error.code
    seconds = time.perf_counter() - started
    own_after, control_after = measure_rows(after, own).accuracy, measure_rows(after, control).accuracy
    return Row(user.kind, len(user.corrections), before[0], own_after, before[1], control_after, decision, seconds)


def control_of(bench: Bench, user: User, seed: int) -> list[tuple[str, str]]:
    """Texts of other people, the same number of each label."""
    rng = random.Random(f"control:{seed}")
    others = [u for u in bench.texts if u.dialogue not in user.dialogues]
    return [
        (u.text, u.label)
        for label in bench.labels
        for u in rng.sample([u for u in others if u.label == label], CONTROL_PER_CLASS)
    ]


def run(bench: Bench, policy: PersonalisePolicy, judging: JudgePolicy) -> list[Row]:
    """All users under one policy."""
    return [one_user(bench, user, policy, judging, index) for index, user in enumerate(bench.users)]


def interval(values: Sequence[float]) -> tuple[float, float, float]:
    """Mean and 95 % interval, bootstrapped."""
    data = np.array(values)
    draws = np.random.default_rng(0).choice(data, (2000, len(data))).mean(axis=1)
    return float(data.mean()), float(np.quantile(draws, 0.025)), float(np.quantile(draws, 0.975))


def points(values: Sequence[float]) -> str:
    """A change in percentage points with its interval."""
    mean, low, high = interval([100 * v for v in values])
    return f"{mean:+.1f} ({low:+.1f} … {high:+.1f})"


def table(rows: Sequence[Row]) -> list[str]:
    """Markdown rows, one per kind of user."""
    lines = []
    for kind in ("skewed", "balanced", "mislabelled"):
        of = [r for r in rows if r.kind == kind]
        taken = [r for r in of if r.decision == "accepted"]
        own_before, own_after = np.mean([r.own_before for r in of]), np.mean([r.own_after for r in of])
        lines.append(
            f"| {kind} | {len(of)} | {len(taken)} | {100 * own_before:.1f} → {100 * own_after:.1f} "
            f"| {points([r.own_after - r.own_before for r in of])} "
            f"| {points([r.control_after - r.control_before for r in of])} "
            f"| {sum(r.own_after < r.own_before for r in of)} |"
        )
    return lines


HEADER = [
    "| users | n | accepted | own held-out accuracy, % | own, points (95 %) | controls, points (95 %) | worse off |",
    "|---|---|---|---|---|---|---|",
]

VARIANTS: dict[str, tuple[dict[str, object], dict[str, object]]] = {
    "default": ({}, {}),
    "no anchors": ({"anchors": 0.0}, {}),
    "anchors × 1": ({"anchors": 1.0}, {}),
    "no rehearsal": ({"rehearsal": 0.0}, {}),
    "rehearsal × 1": ({"rehearsal": 1.0}, {}),
    "no feature noise": ({"noise": 0.0}, {}),
    "no interpolation (α = 1)": ({"alphas": (1.0,)}, {}),
    "no early stop": ({"patience": 1000}, {}),
    "learning rate 0.01": ({"learning_rate": 0.01}, {}),
    "learning rate 0.05": ({"learning_rate": 0.05}, {}),
    "50 epochs": ({"epochs": 50}, {}),
    "bound z = 0": ({}, {"z": 0.0}),
    "bound z = 1.64": ({}, {"z": 1.64}),
    "golden guard × ½": ({"golden_loss_rise": 0.04}, {"golden_loss_rise": 0.05, "golden_accuracy_loss": 0.0}),
    "golden guard × 2": ({"golden_loss_rise": 0.16}, {"golden_loss_rise": 0.2, "golden_accuracy_loss": 0.1}),
    "no golden guard": ({"golden_loss_rise": 9.0}, {"golden_loss_rise": 9.0, "golden_accuracy_loss": 1.0}),
    "everything off": (
        {"anchors": 0.0, "rehearsal": 0.0, "noise": 0.0, "alphas": (1.0,), "patience": 1000, "golden_loss_rise": 9.0},
        {"z": -9.0, "min_holdout": 0, "golden_loss_rise": 9.0, "golden_accuracy_loss": 1.0},
    ),
}


def sweep(bench: Bench) -> list[str]:
    """One line per variant: gains of skewed users, changes of the controls, people worse off."""
    lines = [
        "| variant | accepted | skewed users, own | all users, controls | mislabelled, own | worse off |",
        "|---|---|---|---|---|---|",
    ]
    for name, (changes, judging) in VARIANTS.items():
        rows = run(bench, replace(PersonalisePolicy(), **changes), replace(JudgePolicy(), **judging))  # type: ignore[arg-type]
        skewed, wrong = ([r for r in rows if r.kind == kind] for kind in ("skewed", "mislabelled"))
        lines.append(
            f"| {name} | {sum(r.decision == 'accepted' for r in rows)}/{len(rows)} "
            f"| {points([r.own_after - r.own_before for r in skewed])} "
            f"| {points([r.control_after - r.control_before for r in rows])} "
            f"| {points([r.own_after - r.own_before for r in wrong])} "
            f"| {sum(r.own_after < r.own_before for r in rows)} |"
        )
        print(lines[-1], file=sys.stderr, flush=True)
    return lines


def report(bench: Bench, head_name: str, with_sweep: bool) -> str:
    """The whole page."""
    rows = run(bench, PersonalisePolicy(), JudgePolicy())
    policy = PersonalisePolicy()
    corrections = sorted(r.corrections for r in rows)
    lines = [
        "# Personalisation, measured",
        "",
        f"Head `{head_name}` on the bundled base (`{bench.space}`); KdConv test dialogues, {len(rows)} people "
        f"with {corrections[0]} to {corrections[-1]} corrections (median {corrections[len(rows) // 2]}), each tested "
        f"on other dialogues of their own and on {3 * CONTROL_PER_CLASS} balanced texts of other people. "
        f"Median training time {1000 * float(np.median([r.seconds for r in rows])):.0f} ms.",
        "",
        f"Defaults: `{policy}` and `{JudgePolicy()}`.",
        "",
        *HEADER,
        *table(rows),
        "",
        "A rejected candidate changes nothing, so its user counts with 0. *Worse off* counts people whose own held-out "
        "accuracy fell.",
    ]
    decisions = {r.decision for r in rows}
    counted = ", ".join(f"{d} {sum(r.decision == d for r in rows)}" for d in sorted(decisions))
    lines += ["", f"Decisions: {counted}."]
    if with_sweep:
        lines += ["", "## One thing changed at a time", "", *sweep(bench)]
    return "\n".join(lines) + "\n"


def main() -> None:
    """Measure, print, and write the page."""
    parser = argparse.ArgumentParser(description="Measure personalisation on real dialogues.")
    parser.add_argument("--head", default="topic-1")
    parser.add_argument("--sweep", action="store_true")
    parser.add_argument(
        "--seed", type=int, default=12, help="how the dialogues are dealt; the defaults were chosen on 3 and 11"
    )
    parser.add_argument("--out", type=Path)
    parser.add_argument("--cache", type=Path, help="an .npz file to keep the features of this base in")
    options = parser.parse_args()
    page = report(load(options.head, options.cache, options.seed), options.head, options.sweep)
    print(page)
    if options.out is not None:
        options.out.write_text(page, encoding="utf-8")


if __name__ == "__main__":
    main()
