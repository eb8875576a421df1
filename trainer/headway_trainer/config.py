"""The configuration of a run: one TOML file, read strictly into frozen dataclasses.

A key that no dataclass knows, or a value of the wrong type, is refused with its path: an option that nothing reads
must not look as if it worked. Paths of corpora are relative to the file; labelled and unlabelled corpora and the
teacher may live elsewhere and are then found in the folders given on the command line, so that no file names a machine.
A run has one labelled set, described in `[data]` itself, or several, each a `[[data.sets]]`.
"""

from __future__ import annotations

import tomllib
import types
import typing
from dataclasses import MISSING, dataclass, field, fields, is_dataclass, replace
from pathlib import Path
from typing import Any

from headway.contract.errors import RefusedError
from headway.contract.versions import parse_name
from headway_trainer.compress import CompressConfig
from headway_trainer.data.sets import SetConfig
from headway_trainer.gate import GateConfig
from headway_trainer.half import HalfConfig
from headway_trainer.heads import HeadConfig
from headway_trainer.learning.distil_general import GeneralConfig
from headway_trainer.learning.distil_task import TaskConfig
from headway_trainer.learning.finetune import FinetuneConfig
from headway_trainer.learning.optimiser import Schedule
from headway_trainer.models.lexicon_fit import LexiconConfig
from headway_trainer.models.ngram import NgramConfig
from headway_trainer.models.student import StudentConfig
from headway_trainer.trim import TrimConfig


@dataclass(frozen=True, slots=True)
class Source:
    """Where a text file comes from: its name under the corpora folder, title and licence for the card."""

    file: str
    title: str
    licence: str


@dataclass(frozen=True, slots=True)
class DataConfig:
    """One labelled set or several `sets`, unlabelled files (in the corpora folder), the vocabulary.

    Labelled files are relative to the folder of labelled corpora, or to the configuration where none is given.
    `label_titles` are what people read for the labels, in the order of `labels`; reports show them.
    `sampling_temperature` says how often each of several sets is asked (`data.mixing`).
    """

    vocabulary: str
    labels: tuple[str, ...] = ()
    train: str | None = None
    dev: str | None = None
    test: str | None = None
    title: str | None = None
    licence: str | None = None
    unlabelled: tuple[Source, ...] = ()
    label_titles: tuple[str, ...] = ()
    sets: tuple[SetConfig, ...] = ()
    sampling_temperature: float = 1.0

    @property
    def labelled(self) -> tuple[SetConfig, ...]:
        """Every labelled set; where `[data]` itself is the only one, its name is empty.

        Raises `RefusedError` (`train.config`) for a key that is missing, or for a set in both places.
        """
        own = {name: getattr(self, name) for name in ("labels", "train", "dev", "test", "title", "licence")}
        if self.sets:
            doubled = [name for name, value in own.items() if value]
            if doubled:
                raise _refused(f"data: {doubled[0]}", "with [[data.sets]] it belongs into the sets")
            return self.sets
        missing = [name for name, value in own.items() if not value]
        if missing:
            raise _refused(f"data: {missing[0]}", "it is missing")
        return (SetConfig(name="", label_titles=self.label_titles, **own),)


@dataclass(frozen=True, slots=True)
class TeacherConfig:
    """The teacher: what to call it in the card, and its fine-tuning.

    `layers` takes only so many of the encoder's layers, the first ones (0: all): a shallower teacher for less time.
    `answers` is how many labelled rows of each set it is asked about for the student, drawn by chance (0: all of
    them); the others teach by their label alone.
    """

    name: str
    licence: str
    layers: int = 0
    answers: int = 0
    finetune: FinetuneConfig = field(default_factory=FinetuneConfig)


@dataclass(frozen=True, slots=True)
class PiecesConfig:
    """Pieces of training texts for task distillation: how many per text, fewest tokens, how many unlabelled texts."""

    per_text: int = 1
    shortest: int = 4
    unlabelled: int = 0


@dataclass(frozen=True, slots=True)
class RunConfig:
    """Everything that decides what a run makes. Each of `heads` is fitted for each labelled set.

    `head_rows` is how many training rows of a set are run through the exported base for that, 0 for all.
    """

    base_id: str
    version: str
    seed: int
    data: DataConfig
    teacher: TeacherConfig
    trim: TrimConfig = field(default_factory=TrimConfig)
    student: StudentConfig = field(default_factory=StudentConfig)
    general: GeneralConfig = field(default_factory=GeneralConfig)
    ngram: NgramConfig = field(default_factory=NgramConfig)
    pieces: PiecesConfig = field(default_factory=PiecesConfig)
    task: TaskConfig = field(default_factory=TaskConfig)
    qat: TaskConfig = field(default_factory=lambda: TaskConfig(epochs=1, schedule=Schedule(learning_rate=1e-4)))
    lexicon: LexiconConfig = field(default_factory=LexiconConfig)
    heads: tuple[HeadConfig, ...] = ()
    compress: CompressConfig = field(default_factory=CompressConfig)
    half: HalfConfig = field(default_factory=HalfConfig)
    gate: GateConfig = field(default_factory=GateConfig)
    head_rows: int = 0
    golden_rows: int = 48
    threads: int = 2

    def heads_of(self, name: str) -> tuple[HeadConfig, ...]:
        """Return the heads of the set `name`; where there are several sets its name comes before theirs."""
        return tuple(replace(head, name=f"{name}-{head.name}") for head in self.heads) if name else self.heads


def read_config(path: Path) -> RunConfig:
    """Read a configuration. Raises `RefusedError` (`train.config`) and `OSError`."""
    try:
        document = tomllib.loads(path.read_text("utf-8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise _refused(path.name, f"it is no TOML: {error}") from error
    return from_document(document, path.name)


def from_document(document: dict[str, Any], name: str = "config") -> RunConfig:
    """Build a configuration from its keys and values. Raises `RefusedError` (`train.config`)."""
    config: RunConfig = _build(RunConfig, document, name)
    _check_sets(config.data)
    _check_lengths(config)
    _check_shares(config)
    matched = [step.hidden_weight or step.attention_weight for step in (config.task, config.qat)]
    if config.teacher.answers and any(matched):
        raise _refused("teacher: answers", "states can only be matched where the teacher answers every row")
    if config.half.release and config.compress.release != "8":
        raise _refused("compress: release", "a base with palettes computes in float32, so half.release must be false")
    if config.half.release and not config.half.rows:
        raise _refused("half: rows", "a base that computes in float16 must be measured on some rows")
    return config


def _check_lengths(config: RunConfig) -> None:
    """The teacher must learn; the student's steps may be left out with 0, to see what each brings."""
    least = (
        ("teacher: finetune: epochs", config.teacher.finetune.epochs, 1),
        ("teacher: layers", config.teacher.layers, 0),
        ("general: steps", config.general.steps, 0),
        ("task: epochs", config.task.epochs, 0),
        ("qat: epochs", config.qat.epochs, 0),
    )
    for key, value, lowest in least:
        if value < lowest:
            raise _refused(key, f"it must be {lowest} or more")
    stages = config.student.layers + bool(config.general.masked_weight)
    if config.general.transfer == "progressive" and 0 < config.general.steps < stages:
        raise _refused("general: steps", f"layers that learn one after the other need {stages} or more")


def _check_shares(config: RunConfig) -> None:
    """Whatever is a part of something: all of it would leave nothing to learn with, but for the teacher's answers."""
    for where, step in (("teacher: finetune", config.teacher.finetune), ("task", config.task), ("qat", config.qat)):
        for name in ("masked", "average", "start_share"):
            if not 0 <= getattr(step, name, 0.0) < 1:
                raise _refused(f"{where}: {name}", "it must be from 0 to below 1")
        if not 0 <= getattr(step, "alpha", 0.0) <= 1:
            raise _refused(f"{where}: alpha", "it must be from 0 to 1")


def _check_sets(data: DataConfig) -> None:
    names = [entry.name for entry in data.labelled]
    for name in names if data.sets else ():
        parse_name(name, what="set name")
    if len(set(names)) != len(names):
        raise _refused("data: sets", "two sets have one name")
    if all(entry.held_out for entry in data.labelled):
        raise _refused("data: sets", "all sets are held out, so nothing is taught")
    for entry in data.labelled:
        if len(set(entry.labels)) < 2:
            raise _refused(f"data: {entry.name or 'labels'}", "a set needs two labels at least")
        if entry.learn_rest_of_dev and (entry.test is None or entry.max_dev_rows is None):
            raise _refused(f"data: {entry.name}: learn_rest_of_dev", "it needs max_dev_rows, and a test of its own")
        if entry.weight <= 0:
            raise _refused(f"data: {entry.name}: weight", "it must be more than 0")
    if data.sampling_temperature < 1:
        raise _refused("data: sampling_temperature", "it must be 1 or more")


def _build(kind: Any, value: Any, where: str) -> Any:
    origin = typing.get_origin(kind)
    if is_dataclass(kind):
        return _build_dataclass(kind, value, where)
    if origin is tuple:
        if not isinstance(value, list):
            raise _refused(where, "it must be a list")
        inner = typing.get_args(kind)[0]
        return tuple(_build(inner, entry, f"{where}[{index}]") for index, entry in enumerate(value))
    if origin is typing.Literal:
        if value not in typing.get_args(kind):
            raise _refused(where, f"it must be one of {', '.join(map(str, typing.get_args(kind)))}")
        return value
    allowed = typing.get_args(kind) if origin is types.UnionType else (kind,)
    if float in allowed and isinstance(value, int) and not isinstance(value, bool):
        return float(value)
    if not isinstance(value, allowed) or (isinstance(value, bool) and bool not in allowed):
        raise _refused(where, f"it must be of type {getattr(kind, '__name__', kind)}, not {value!r}")
    return value


def _build_dataclass(kind: Any, value: Any, where: str) -> Any:
    if not isinstance(value, dict):
        raise _refused(where, "it must be a table")
    hints = typing.get_type_hints(kind)
    known = {entry.name: entry for entry in fields(kind)}
    unknown = sorted(set(value) - set(known))
    if unknown:
        raise _refused(f"{where}: {unknown[0]}", f"no such key; known are {', '.join(known)}")
    for name, entry in known.items():
        if name not in value and entry.default is MISSING and entry.default_factory is MISSING:
            raise _refused(f"{where}: {name}", "it is missing")
    return kind(**{name: _build(hints[name], entry, f"{where}: {name}") for name, entry in value.items()})


def _refused(where: str, why: str) -> RefusedError:
    return RefusedError(
        "train.config", f"The configuration cannot be used: {where}: {why}.", hint="Correct that key and start again."
    )
