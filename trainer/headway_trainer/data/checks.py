"""What is wrong, or worth knowing, about labelled splits before anything is trained on them.

Two texts are the same text here if the tokenizer makes the same words of them, for then no model can tell them apart.
Pure: texts and labels in, refusals and sentences out. No text is ever quoted.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from headway.contract.errors import RefusedError
from headway.contract.tokenizer import words
from headway_trainer.data.corpora import Labelled


def text_key(text: str) -> str:
    """Return what the tokenizer sees of a text: its words, joined by spaces; empty if it sees nothing."""
    return " ".join(words(text))


def check_splits(splits: Mapping[str, Labelled], names: Sequence[str], titles: Sequence[str] = ()) -> None:
    """Return if a classifier of `names` can be trained and measured on the splits.

    Raises `RefusedError` (`train.labels`): fewer than two labels, one twice, titles that do not fit, or no training
    row of a label; (`train.corpus`): a text in which the tokenizer finds nothing.
    """
    if len(names) < 2:
        raise _labels(f"The configuration names {len(names)} label: a classifier needs at least two")
    if len(set(names)) != len(names):
        raise _labels("data.labels names a label twice")
    if titles and len(titles) != len(names):
        raise _labels(f"data.label_titles has {len(titles)} entries and data.labels {len(names)}")
    present = set(splits["train"].labels)
    missing = [name for name in names if name not in present]
    if missing:
        raise _labels(f"No row of {splits['train'].name} has the label {', '.join(missing)}")
    for split in splits.values():
        empty = [number for number, text in enumerate(split.texts, start=1) if not words(text)]
        if empty:
            raise RefusedError(
                "train.corpus",
                f"{split.name}: row {empty[0]} holds nothing that the tokenizer can read"
                f" ({len(empty)} such {'row' if len(empty) == 1 else 'rows'}).",
                hint="Remove such rows, or let `headway train import` prepare the file.",
            )


def overlaps(splits: Mapping[str, Labelled]) -> dict[str, int]:
    """Return how many rows of train and dev stand, as the same text, in a later split: `{"train in test": 3, …}`.

    Where dev is the test split too, it is one split.
    """
    if splits["dev"].digest == splits["test"].digest:
        splits = {"train": splits["train"], "test": splits["test"]}
    keys = {name: [text_key(text) for text in split.texts] for name, split in splits.items()}
    known = {name: set(found) for name, found in keys.items()}
    pairs = (("train", "dev"), ("train", "test"), ("dev", "test"))
    return {
        f"{one} in {other}": sum(key in known[other] for key in keys[one])
        for one, other in pairs
        if one in keys and other in keys
    }


def remarks(prepared: Mapping[str, Any], max_length: int) -> list[str]:
    """Return what a person should read before training, from the facts of `prepare`."""
    found = []
    for name, split in prepared["splits"].items():
        rows, cut, unknown = split["rows"], split["cut"], split["unknown_tokens"]
        found.append(
            f"{name}: {rows} texts, {cut} of them ({100 * cut / rows:.1f} %) cut to {max_length} tokens, "
            f"{100 * unknown / split['tokens']:.2f} % unknown tokens"
        )
    for pair, count in prepared["overlaps"].items():
        if count:
            one, other = pair.split(" in ")
            found.append(f"{count} rows of {one} stand in {other} too: figures on {other} will be too good")
    for lender, count in prepared.get("borrowed", {}).items():
        found.append(f"{count} rows of train stand in dev or test of {lender} and are left out")
    return found


def _labels(why: str) -> RefusedError:
    return RefusedError("train.labels", f"{why}.", hint="Correct data.labels or the files, and start again.")
