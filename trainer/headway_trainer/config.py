"""The configuration of a run: one TOML file, read strictly into frozen dataclasses.

A key that no dataclass knows, or a value of the wrong type, is refused with its path: an option that nothing reads
must not look as if it worked. Paths of corpora are relative to the file; unlabelled corpora and the teacher may live
elsewhere and are then found in the folders given on the command line, so that no file names a machine.
"""

from __future__ import annotations

import tomllib
import types
import typing
from dataclasses import MISSING, dataclass, field, fields, is_dataclass
from pathlib import Path
from typing import Any

from headway.contract.errors import RefusedError
from headway_trainer.distil_general import GeneralConfig
from headway_trainer.distil_task import TaskConfig
from headway_trainer.finetune import FinetuneConfig
from headway_trainer.gate import GateConfig
from headway_trainer.heads import HeadConfig
from headway_trainer.models.ngram import NgramConfig
from headway_trainer.models.student import StudentConfig
from headway_trainer.optimiser import Schedule


@dataclass(frozen=True, slots=True)
class Source:
    """Where a text file comes from: its name under the corpora folder, title and licence for the card."""

    file: str
    title: str
    licence: str


@dataclass(frozen=True, slots=True)
class DataConfig:
    """Labelled splits (relative to the configuration), unlabelled files (in the corpora folder), the vocabulary."""

    labels: tuple[str, ...]
    train: str
    dev: str
    test: str
    title: str
    licence: str
    vocabulary: str
    unlabelled: tuple[Source, ...] = ()


@dataclass(frozen=True, slots=True)
class TeacherConfig:
    """The teacher: what to call it in the card, and its fine-tuning."""

    name: str
    licence: str
    finetune: FinetuneConfig = field(default_factory=FinetuneConfig)


@dataclass(frozen=True, slots=True)
class PiecesConfig:
    """Pieces of training texts for task distillation: how many per text, fewest tokens, how many unlabelled texts."""

    per_text: int = 1
    shortest: int = 4
    unlabelled: int = 0


@dataclass(frozen=True, slots=True)
class RunConfig:
    """Everything that decides what a run makes."""

    base_id: str
    version: str
    seed: int
    data: DataConfig
    teacher: TeacherConfig
    student: StudentConfig = field(default_factory=StudentConfig)
    general: GeneralConfig = field(default_factory=GeneralConfig)
    ngram: NgramConfig = field(default_factory=NgramConfig)
    pieces: PiecesConfig = field(default_factory=PiecesConfig)
    task: TaskConfig = field(default_factory=TaskConfig)
    qat: TaskConfig = field(default_factory=lambda: TaskConfig(epochs=1, schedule=Schedule(learning_rate=1e-4)))
    heads: tuple[HeadConfig, ...] = ()
    gate: GateConfig = field(default_factory=GateConfig)
    golden_rows: int = 48
    threads: int = 2


def read_config(path: Path) -> RunConfig:
    """Read a configuration. Raises `RefusedError` (`train.config`) and `OSError`."""
    try:
        document = tomllib.loads(path.read_text("utf-8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise _refused(path.name, f"it is no TOML: {error}") from error
    config: RunConfig = _build(RunConfig, document, path.name)
    return config


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
