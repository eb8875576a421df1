"""The run folder: one folder per step with its facts, what the steps share, and the texts they read.

A step is done when its `facts.json` is there, written last; a resumed run skips it. The folder is bound to its
configuration (`binding`).
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import torch

from headway.contract.errors import RefusedError
from headway.contract.tokenizer import Tokenizer
from headway_trainer.binding import bind
from headway_trainer.config import RunConfig
from headway_trainer.data.corpora import Lines, read_lines
from headway_trainer.data.examples import Examples, drawn
from headway_trainer.data.mixing import Mixture, Scored
from headway_trainer.data.sets import LabelledSet, read_sets
from headway_trainer.earlier import Earlier
from headway_trainer.files import write_text
from headway_trainer.gate import DeviceReport, Waiver
from headway_trainer.learning import checkpoint
from headway_trainer.learning.distributed import device
from headway_trainer.models.student import Student
from headway_trainer.models.student_start import start_as, start_from
from headway_trainer.models.teacher import Teacher
from headway_trainer.models.teacher_check import check_teacher
from headway_trainer.processes import rank


@dataclass(frozen=True)
class Places:
    """Where things are on this machine: the configuration's folder, the teacher, the run, corpora.

    `corpora` holds the unlabelled files, `data` the labelled ones if they are not beside the configuration. `waivers`
    are the gate's lines that the person who started the run accepts as they are, `report` what a phone measured.
    `student` is a checkpoint that the student begins as, a folder or hub id; without it, it begins with fresh weights.
    `after` is the folder of an earlier run, whose student is trained further.
    """

    config_folder: Path
    run_folder: Path
    teacher: str
    corpora: Path | None = None
    threads: int | None = None
    waivers: tuple[Waiver, ...] = ()
    report: DeviceReport | None = None
    data: Path | None = None
    student: str | None = None
    after: Path | None = None


class Run:
    """A configuration at work in a folder."""

    def __init__(self, config: RunConfig, places: Places) -> None:
        """Bind the folder, if this is the first of several processes, which alone writes.

        Raises `RefusedError`: `train.folder` if the folder belongs to another configuration, `train.after` if the run
        cannot go on after `places.after`.
        """
        self.config, self.places = config, places
        self.earlier = Earlier.read(places.after, config) if places.after else None
        self._examples: dict[tuple[str, str], Examples] = {}
        if rank() == 0:
            bind(config, places.run_folder)

    def folder(self, step: str) -> Path:
        """Return the folder of a step, made if need be."""
        path = self.places.run_folder / step
        path.mkdir(exist_ok=True)
        return path

    def facts(self, step: str) -> dict[str, Any] | None:
        """Return the facts of a step that is done, else None."""
        path = self.places.run_folder / step / "facts.json"
        if not path.exists():
            return None
        found: dict[str, Any] = json.loads(path.read_text("utf-8"))
        return found

    def needed(self, step: str) -> dict[str, Any]:
        """Return the facts of a step that must be done. Raises `RefusedError` (`train.order`) if it is not."""
        found = self.facts(step)
        if found is None:
            raise RefusedError(
                "train.order", f"The step {step} has not run in this folder.", hint=f"Run it first: --steps {step},…"
            )
        return found

    def record(self, step: str, facts: dict[str, Any]) -> None:
        """Write the facts of a step, which makes it done and its last checkpoint needless.

        Raises `RefusedError` (`train.disk`).
        """
        folder = self.folder(step)
        write_text(folder / "facts.json", json.dumps(facts, ensure_ascii=False, indent=2) + "\n")
        for path in folder.glob("*.latest.pt") if rank() == 0 else ():
            path.unlink()

    @cached_property
    def source_tokenizer(self) -> Tokenizer:
        """The tokenizer of the configuration's whole vocabulary, which is the teacher's."""
        return Tokenizer.from_vocab(self.places.config_folder / self.config.data.vocabulary)

    @property
    def trimmed_vocabulary(self) -> Path:
        """Where the step `trim` leaves the vocabulary it made."""
        return self.folder("trim") / "vocab.txt"

    @cached_property
    def tokenizer(self) -> Tokenizer:
        """The tokenizer of teacher, student and release: the trimmed one where the configuration trims."""
        if not self.config.trim.min_count:
            return self.source_tokenizer
        self.needed("trim")
        return Tokenizer.from_vocab(self.trimmed_vocabulary)

    @cached_property
    def mask_id(self) -> int:
        """Id of `[MASK]`."""
        return self.tokenizer.tokens.index("[MASK]")

    @cached_property
    def sets(self) -> tuple[LabelledSet, ...]:
        """The labelled sets, each with its splits `train`, `dev` and `test`."""
        folder = self.places.data or self.places.config_folder
        return read_sets(self.config.data.labelled, folder, self.config.seed, self.config.student.max_length)

    @property
    def taught(self) -> tuple[LabelledSet, ...]:
        """The sets that teacher and student learn from."""
        return tuple(rows for rows in self.sets if rows.taught)

    @property
    def classes(self) -> int:
        """Columns of the joint classifier: the labels of all taught sets."""
        return sum(len(entry.labels) for entry in self.config.data.labelled if not entry.held_out)

    @cached_property
    def unlabelled(self) -> tuple[Lines, ...]:
        """The unlabelled corpora. Raises `RefusedError` (`train.corpora`) if their folder was not given."""
        wanted = self.config.data.unlabelled
        if wanted and self.places.corpora is None:
            raise RefusedError(
                "train.corpora",
                f"The configuration names unlabelled corpora ({wanted[0].file}, …) but no folder to find them in.",
                hint="Give the folder with --corpora.",
            )
        folder = self.places.corpora or Path()
        return tuple(read_lines(folder / source.file) for source in wanted)

    def tokenised(self, texts: Sequence[str]) -> list[list[int]]:
        """Return the unpadded ids of texts, cut to the student's length."""
        return [self.tokenizer.ids(text, self.config.student.max_length) for text in texts]

    def examples(self, rows: LabelledSet, split: str) -> Examples:
        """Return a split of a set, tokenised; labels count within the set."""
        key = (rows.name, split)
        if key not in self._examples:
            found = rows.splits[split]
            self._examples[key] = Examples(self.tokenised(found.texts), found.label_ids(rows.config.labels))
        return self._examples[key]

    def kept_rows(self, of: LabelledSet, split: str) -> list[int]:
        """Return the rows of a split that are run through the exported base: all but for a cap on training rows."""
        most = self.config.head_rows if split == "train" else 0
        return drawn(len(of.splits[split].texts), most, self.config.seed)

    def told_of(self, of: LabelledSet) -> slice | None:
        """Return the columns of the features in which the lexicon speaks about a set's own labels, None if nowhere."""
        if not (self.config.lexicon.buckets and of.taught):
            return None
        first = self.config.student.feature_dimension
        return slice(first + of.span.start, first + of.span.stop)

    def mixture(self, parts: Sequence[Scored]) -> Mixture:
        """Return the training rows of all taught sets, each asked as often as the configuration says."""
        weights = [rows.config.weight for rows in self.taught]
        return Mixture.of(parts, self.config.data.sampling_temperature, weights)

    def scored(self, split: str) -> tuple[Scored, ...]:
        """Return a split of every taught set with its columns of the classifier."""
        return tuple((self.examples(rows, split), rows.span) for rows in self.taught)

    def check_teacher(self) -> None:
        """Return if the teacher fits the configuration. Raises `RefusedError` (`train.teacher`, `train.geometry`)."""
        config, student = self.config, self.config.student
        follows = any(step.hidden_weight or step.attention_weight for step in (config.task, config.qat))
        general = config.general
        follows = follows or bool(general.steps and (general.hidden_weight or general.attention_weight))
        followed = (student.layers, student.heads) if follows else None
        check_teacher(self.places.teacher, self.source_tokenizer.tokens, student, followed, config.teacher.layers)

    def new_teacher(self) -> Teacher:
        """Return the teacher as it comes, with the rows of the tokens that are kept."""
        torch.manual_seed(self.config.seed)
        config, source = self.config.teacher, self.source_tokenizer.tokens
        dropouts = config.finetune.dropout, config.finetune.encoder_dropout
        teacher = Teacher(self.places.teacher, self.classes, len(source), *dropouts, layers=config.layers)
        if len(self.tokenizer.tokens) < len(source):
            teacher.keep_tokens(self.kept_tokens)
        return teacher.to(device())

    @property
    def kept_tokens(self) -> list[int]:
        """The ids in the whole vocabulary of the tokens that the run keeps, in the order of its own."""
        places = {token: index for index, token in enumerate(self.source_tokenizer.tokens)}
        return [places[token] for token in self.tokenizer.tokens]

    def tuned_teacher(self) -> Teacher:
        """Return the fine-tuned teacher."""
        self.needed("teacher")
        teacher = self.new_teacher()
        state = checkpoint.load(self.folder("teacher") / "model.pt")
        assert state is not None, "a step that is done has left its model"
        teacher.load_state_dict(state["model"])
        return teacher

    @property
    def student_seed(self) -> int:
        """What draws the student's first weights and its batches."""
        own = self.config.student.seed
        return self.config.seed if own is None else own

    def new_student(self) -> Student:
        """Return a student with fresh weights."""
        torch.manual_seed(self.student_seed)
        tokenizer = self.tokenizer
        return Student(self.config.student, self.classes, len(tokenizer.tokens), tokenizer.pad_id).to(device())

    def started(self, student: Student, teacher: Callable[[], Teacher]) -> dict[str, Any]:
        """Give a student what it begins as: an earlier run's, the teacher or a checkpoint, if anything.

        Returns how many weights it took, by where from, for the facts; nothing if it stays as it is.
        Raises `RefusedError` (`train.student`, `train.after`).
        """
        if self.places.student is not None and (self.earlier or self.config.student.begins_as == "teacher"):
            other = "an earlier run's" if self.earlier else "the teacher"
            raise RefusedError(
                "train.student",
                f"The student is to begin as {other} and as a checkpoint.",
                hint='Leave out --student, or --after and begins_as = "teacher" in [student].',
            )
        if self.earlier:
            held = self.earlier.student(self.tokenizer.digest)
            student.load_state_dict(held)
            taken = sum(value.numel() for value in held.values())
            return {"weights_of_an_earlier_run": taken, **self.earlier.start_facts()}
        if self.config.student.begins_as == "teacher":
            return {"weights_of_the_teacher": start_as(student, teacher().encoder)}
        if self.places.student is None:
            return {}
        tokens = len(self.source_tokenizer.tokens)
        return {"weights_of_a_checkpoint": start_from(student, self.places.student, tokens, self.kept_tokens)}
