"""The result of an ablation as one document, and that document as Markdown.

A difference whose interval holds 0 is called not distinguishable, in every form of the table.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from headway_trainer.ablation.answering import SPLITS, Answered
from headway_trainer.ablation.paired import Right, difference
from headway_trainer.evaluate import Accuracy
from headway_trainer.report.forest import answering, changed_text, difference_pair, share_text, size_text
from headway_trainer.report.standings import accuracy_of, pooled

SCHEMA = 1
STEMS: dict[str, str] = {"exported": "ablation", "student": "ablation-student"}
"""The names of the tables, by who answers, in the folder `ablation` of the run."""

Json = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Outcome:
    """One variant, or the run itself: what it changed, the first step of its own, answers and facts for each seed.

    `stopped` says why it has none.
    """

    name: str
    changes: Mapping[str, tuple[Any, Any]]
    first: str | None
    answers: Sequence[Answered]
    facts: Sequence[Mapping[str, Json]]
    stopped: str | None = None


def document(parent: Outcome, variants: Sequence[Outcome], seeds: Sequence[int], run: Json) -> Json:
    """Return the table; `run` says which run it is about."""
    return {
        "schema": SCHEMA,
        **run,
        "seeds": list(seeds),
        "parent": _figures(parent),
        "variants": [
            {**_asked(one), **({"stopped": one.stopped} if one.stopped else {**_figures(one), **_apart(parent, one)})}
            for one in variants
        ],
    }


def joined(before: Json, made: Json, asked: Sequence[str]) -> Json:
    """Return `made` with the variants of an earlier table that were not `asked` for now, if it was about the same run.

    So a study may be made in parts.
    """
    about = [key for key in made if key not in ("variants", "made_with")]
    if any(before.get(key) != made[key] for key in about):
        return made
    kept = [entry for entry in before["variants"] if entry["name"] not in asked]
    return {**made, "variants": [*kept, *made["variants"]]}


def _asked(one: Outcome) -> Json:
    changes = {key: list(values) for key, values in one.changes.items()}
    return {"name": one.name, "changes": changes, "first_own_step": one.first}


def _figures(one: Outcome) -> Json:
    sets = {name: _of_set(one, name) for name in one.answers[0].sets if name}
    return {
        **{split: _accuracy([given.whole(split) for given in one.answers]) for split in SPLITS},
        **({"sets": sets} if sets else {}),
        "own_classifier_test": _own_classifier(one.facts[0]),
        "bytes": one.facts[0].get("export-base", {}).get("size_bytes"),
        "seconds": round(float(np.mean([sum(step["seconds"] for step in facts.values()) for facts in one.facts])), 1),
    }


def _of_set(one: Outcome, name: str) -> Json:
    return {split: _accuracy([given.sets[name][split] for given in one.answers]) for split in SPLITS}


def _accuracy(rights: Sequence[Right]) -> dict[str, object]:
    """The mean over seeds, with the interval of one model on these rows."""
    rows = len(rights[0])
    return Accuracy(round(float(np.mean([right.sum() for right in rights]))), rows).to_json()


def _own_classifier(facts: Mapping[str, Json]) -> dict[str, object] | None:
    told = facts["qat"]["test"]
    every = pooled(one for entry in (told.get("sets") or {"": told}).values() if (one := accuracy_of(entry)))
    return every.to_json() if every else None


def _apart(parent: Outcome, one: Outcome) -> Json:
    found: Json = {split: _difference(parent, one, split, None) for split in SPLITS}
    names = [name for name in parent.answers[0].sets if name]
    sets = {name: {split: _difference(parent, one, split, name) for split in SPLITS} for name in names}
    return {"difference": found, **({"difference_by_set": sets} if sets else {})}


def _difference(parent: Outcome, one: Outcome, split: str, name: str | None) -> Json:
    def rows(of: Outcome) -> list[Right]:
        return [given.whole(split) if name is None else given.sets[name][split] for given in of.answers]

    return difference(rows(parent), rows(one)).to_json()


def markdown(table: Json) -> str:
    """Return the document as Markdown: one table, and one more by set where there are several."""
    seeds = table["seeds"]
    said = f"seed {seeds[0]}" if len(seeds) == 1 else f"mean over the seeds {', '.join(map(str, seeds))}"
    lines = [
        f"{answering(table)[0]}, {said}. Differences to the run itself on the same rows, in points,",
        "with 95 % intervals; an interval that holds 0 distinguishes nothing. Dev chose epochs and weight decays.",
        "",
        "| variant | changed | test | difference on test | dev | difference on dev | package | seconds |",
        "|---|---|---|---|---|---|---|---|",
        f"| *the run* | | {share_text(table['parent']['test'])} | | {share_text(table['parent']['dev'])} | | "
        f"{_cost(table['parent'])} |",
    ]
    lines += [_row(entry) for entry in table["variants"]]
    return "\n".join([*lines, *_by_set(table), ""])


def _row(entry: Json) -> str:
    begin = f"| `{entry['name']}` | `{changed_text(entry)}` |"
    if "stopped" in entry:
        return f"{begin} stopped: {entry['stopped']} | | | | | |"
    apart = entry["difference"]
    cells = (
        share_text(entry["test"]),
        difference_pair(apart["test"])[0],
        share_text(entry["dev"]),
        difference_pair(apart["dev"])[0],
        _cost(entry),
    )
    return f"{begin} {' | '.join(cells)} |"


def _by_set(table: Json) -> list[str]:
    names = list(table["parent"].get("sets", {}))
    if not names:
        return []
    head = ["", f"| test, by set | {' | '.join(names)} |", f"|---|{'---|' * len(names)}"]
    own = " | ".join(share_text(table["parent"]["sets"][name]["test"]) for name in names)
    lines = [*head, f"| *the run* | {own} |"]
    for entry in table["variants"]:
        apart = entry.get("difference_by_set", {})
        if apart:
            cells = (difference_pair(apart[name]["test"])[0] for name in names)
            lines.append(f"| `{entry['name']}` | {' | '.join(cells)} |")
    return lines


def _cost(entry: Mapping[str, Any]) -> str:
    return f"{size_text(entry)} | {entry['seconds']:.0f}"
