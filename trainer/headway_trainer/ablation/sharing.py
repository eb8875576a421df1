"""Steps that a variant need not do again: linked from the run it is a variant of.

Files of a step are written beside and renamed, or the whole step is forgotten first, so a link never lets a variant
change its parent. What is about to be written in place, the release folder, is copied. A shared step is done with the
parent's own facts; where the parent was made anew since, the variant forgets that step and all after it.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterable
from pathlib import Path

from headway_trainer.binding import forget_from
from headway_trainer.files import make_folder, unwritable
from headway_trainer.order import ORDER

_FACTS = "facts.json"
_ANSWERS = "logits.pt"
_ANSWERS_STAY = (
    *("general.steps", "general.round_steps", "general.batch_size", "general.schedule"),
    *("general.masked_weight", "general.masked", "general.transfer", "general.lower_rate", "general.precision"),
    *("general.hidden_weight", "general.attention_weight", "ngram", "task", "qat", "lexicon", "heads", "half"),
    *("student.pooling", "student.feature_layer", "student.seed", "student.dropout", "compress", "gate", "golden_rows"),
)


def before(step: str) -> tuple[str, ...]:
    """Return the steps before one."""
    return ORDER[: ORDER.index(step)]


def share(parent: Path, variant: Path, first: str, changed: Iterable[str]) -> None:
    """Give a variant the parent's steps before `first`, and the teacher's answers where no changed key touches them.

    Raises `RefusedError` (`train.disk`).
    """
    try:
        for step in before(first):
            _step(parent, variant, step)
        if first in ("distil-general", "distil-task") and all(_stays(key) for key in changed):
            _answers(parent, variant)
    except OSError as error:
        raise unwritable(f"The folder of the variant {variant.parent.name}", error) from error


def _step(parent: Path, variant: Path, step: str) -> None:
    facts = parent / step / _FACTS
    if not facts.exists():
        return
    held = variant / step / _FACTS
    if held.exists():
        if held.read_bytes() == facts.read_bytes():
            return
        forget_from(variant, step)
    if step == "export-base" and (parent / "release").exists():
        shutil.copytree(parent / "release", variant / "release", dirs_exist_ok=True)
    for path in sorted((parent / step).rglob("*")):
        if path.is_file() and path != facts and not path.name.endswith(".latest.pt"):
            _link(path, variant / step / path.relative_to(parent / step))
    # Last, for it says that the step is done.
    _link(facts, held)


def _answers(parent: Path, variant: Path) -> None:
    held = variant / "distil-task" / _ANSWERS
    if (parent / "distil-task" / _ANSWERS).exists() and not held.exists():
        _link(parent / "distil-task" / _ANSWERS, held)


def _stays(key: str) -> bool:
    return any(key == known or key.startswith(f"{known}.") for known in _ANSWERS_STAY)


def _link(source: Path, to: Path) -> None:
    make_folder(to.parent)
    to.unlink(missing_ok=True)
    try:
        os.link(source, to)
    except OSError:
        shutil.copy2(source, to)
