"""Going on after an earlier run: its vocabulary and teacher as they are, and its student to be trained further.

When rows were added, or a schedule turns out to have been too short, what was learnt need not be learnt again. The
vocabulary stays, so that token ids mean what they meant; rows, weights, schedules and everything after the student may
differ. The new run has a folder and facts of its own, which tell whose work it continues.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

from torch import Tensor

from headway.contract.errors import RefusedError
from headway_trainer.binding import held_config
from headway_trainer.config import RunConfig
from headway_trainer.learning import checkpoint
from headway_trainer.models.student import StudentConfig
from headway_trainer.order import CONFIG_FILE

_FREE = frozenset({"dropout", "begins_as", "seed"})
"""What may change about a student that has learnt already."""

_STARTS = ("weights_of_the_teacher", "weights_of_a_checkpoint", "embedding_variance_kept")


@dataclass(frozen=True, slots=True)
class Earlier:
    """A run folder whose student another run trains further."""

    folder: Path

    @classmethod
    def read(cls, folder: Path, config: RunConfig) -> Earlier:
        """Return the run in `folder` if one of `config` can go on after it.

        Raises `RefusedError`: `train.folder` if it is no run folder, `train.after` if the two do not fit or the student
        is not there.
        """
        found = held_config(folder)
        if found is None:
            raise RefusedError("train.folder", f"{folder.name} is no run folder.", hint="Give --after a run's folder.")
        apart = differences(found, config)
        if apart:
            raise _refused(folder, f"{apart[0]} differs")
        for step in ("prepare", "teacher", "distil-general", "distil-task"):
            if not (folder / step / "facts.json").exists():
                raise _refused(folder, f"its step {step} is not done")
        return cls(folder)

    @property
    def vocabulary(self) -> Path:
        """The trimmed vocabulary, where the run has one."""
        return self.folder / "trim" / "vocab.txt"

    def check_measured(self, prepared: Mapping[str, Any]) -> None:
        """Return if dev and test are the files they were: of others, the student may have learnt rows already.

        `prepared` are the new run's facts of `prepare`. Raises `RefusedError` (`train.after`).
        """
        before, now = _measured(self._facts("prepare")), _measured(prepared)
        apart = [place for place in sorted(now) if before.get(place) != now[place]]
        if apart:
            raise _refused(self.folder, f"the file of {apart[0]} is another")

    def teacher(self) -> dict[str, Tensor]:
        """Return the weights of the fine-tuned teacher, by name."""
        return self._weights("teacher")

    def teacher_facts(self) -> dict[str, Any]:
        """Return how the teacher was made: its dev score after each round, the best, the curve of its loss."""
        facts = self._facts("teacher")
        return {name: facts[name] for name in ("scores", "best", "curve")}

    def student(self, tokenizer: str) -> dict[str, Tensor]:
        """Return the weights of the student before the int8 grid, classifier included, by name.

        `tokenizer` is the digest of the new run's. Raises `RefusedError` (`train.after`) if the earlier one's differs.
        """
        if self._facts("prepare")["tokenizer"] != tokenizer:
            raise _refused(self.folder, "data.vocabulary differs")
        pair = self._weights("distil-task")
        return {name.removeprefix("0."): value for name, value in pair.items() if name.startswith("0.")}

    def start_facts(self) -> dict[str, Any]:
        """Return what the student of this run began as, and which configuration made it."""
        found = self._facts("distil-general")
        held = json.loads((self.folder / CONFIG_FILE).read_text("utf-8"))
        return {"earlier_run": held["digest"], **{key: found[key] for key in _STARTS if key in found}}

    def _facts(self, step: str) -> dict[str, Any]:
        found: dict[str, Any] = json.loads((self.folder / step / "facts.json").read_text("utf-8"))
        return found

    def _weights(self, step: str) -> dict[str, Tensor]:
        held = checkpoint.load(self.folder / step / "model.pt")
        if held is None:
            raise _refused(self.folder, f"{step}/model.pt is not there")
        found: dict[str, Tensor] = held["model"]
        return found


def differences(earlier: RunConfig, config: RunConfig) -> list[str]:
    """Return what must be equal for one run to go on after the other and is not, by key. Pure."""
    shape = [entry.name for entry in fields(StudentConfig) if entry.name not in _FREE]
    # Dev rows that were not drawn may have been learnt from (`learn_rest_of_dev`), by this run or by one before it.
    before, now = _drawn_of_dev(earlier), _drawn_of_dev(config)
    pairs: Mapping[str, tuple[Any, Any]] = {
        "data.sets (names and labels of the taught ones)": (_columns(earlier), _columns(config)),
        "seed or max_dev_rows (which dev rows are taken)": (before, {name: now.get(name) for name in before}),
        "teacher.layers": (earlier.teacher.layers, config.teacher.layers),
        "trim (on or off)": (bool(earlier.trim.min_count), bool(config.trim.min_count)),
        **{f"student.{key}": (getattr(earlier.student, key), getattr(config.student, key)) for key in shape},
    }
    return [key for key, (one, other) in pairs.items() if one != other]


def _measured(prepared: Mapping[str, Any]) -> dict[str, str]:
    """Return the digests of what is measured on, by set and split."""
    sets = prepared.get("sets", {"": prepared})
    return {
        f"{name} {split}".strip(): of["splits"][split]["digest"]
        for name, of in sets.items()
        for split in ("dev", "test")
    }


def _drawn_of_dev(config: RunConfig) -> dict[str, tuple[int, int]]:
    """Return what the dev rows depend on of each set of which not all are taken."""
    capped = [of for of in config.data.labelled if of.max_dev_rows is not None]
    return {of.name: (config.seed, of.max_dev_rows or 0) for of in capped}


def _columns(config: RunConfig) -> list[tuple[str, str]]:
    """Return set and label of every column of the joint classifier."""
    return [(of.name, label) for of in config.data.labelled if not of.held_out for label in of.labels]


def _refused(folder: Path, why: str) -> RefusedError:
    return RefusedError(
        "train.after",
        f"This run cannot go on after {folder.name}: {why}.",
        hint="Sets, labels, dev and test rows, vocabulary and the student's shape must be those of the earlier run, "
        "and its distil-task done; without --after this run begins anew.",
    )
