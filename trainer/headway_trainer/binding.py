"""Which configuration a run folder belongs to, and what may change in it while the folder stays of use.

A change is allowed where no finished step has read what changed: lowering the learning rate of a step that diverged
keeps the hours before it. Its half-done checkpoint is dropped, for it was made with the old value.
"""

from __future__ import annotations

import json
import shutil
import sys
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

from headway.contract.digests import digest_of
from headway.contract.errors import RefusedError
from headway_trainer.config import RunConfig, from_document
from headway_trainer.files import make_folder, write_text
from headway_trainer.order import CONFIG_FILE, earliest, first_reader, from_step


def bind(config: RunConfig, folder: Path) -> None:
    """Make `folder` belong to `config`.

    Raises `RefusedError` (`train.folder`) if a step that is done was made with another value, and `train.disk`.
    """
    make_folder(folder)
    document = _document(config)
    digest = digest_of(json.dumps(document, sort_keys=True, ensure_ascii=False).encode())
    mark = folder / CONFIG_FILE
    held = _held(mark)
    if held.get("digest") == digest:
        return
    if held:
        _keep_what_can_stay(folder, changed_keys(_filled(held["config"]), document))
    write_text(mark, json.dumps({"digest": digest, "config": document}, indent=2, ensure_ascii=False) + "\n")


def held_config(folder: Path) -> RunConfig | None:
    """Return the configuration that `folder` belongs to, None if it is no run folder.

    Raises `RefusedError`: `train.folder` if that is damaged, `train.config` if this program cannot read it.
    """
    held = _held(folder / CONFIG_FILE)
    return from_document(held["config"], f"{folder.name}/{CONFIG_FILE}") if held else None


def changed_keys(old: Mapping[str, Any], new: Mapping[str, Any]) -> set[str]:
    """Return the dotted keys at which two configurations differ; a list is one value."""
    found: set[str] = set()
    for key in {*old, *new}:
        before, after = old.get(key), new.get(key)
        if isinstance(before, dict) and isinstance(after, dict):
            found |= {f"{key}.{inner}" for inner in changed_keys(before, after)}
        elif before != after:
            found.add(key)
    return found


def forget_from(folder: Path, step: str) -> None:
    """Remove what `step` and the steps after it left in a run folder, so that they run again."""
    for name in from_step(step):
        shutil.rmtree(folder / name, ignore_errors=True)


def _keep_what_can_stay(folder: Path, changed: set[str]) -> None:
    first = earliest({step for key in changed if (step := first_reader(key))})
    if first is None:
        return
    stale = [step for step in from_step(first) if (folder / step / "facts.json").exists()]
    if stale:
        raise RefusedError(
            "train.folder",
            f"The run folder {folder.name} was made by another configuration: {', '.join(sorted(changed))} changed, "
            f"and the step {stale[0]} is done with what it was before.",
            hint=f"Do those steps again with --resume --again {stale[0]}, or give another folder with --run.",
        )
    for step in from_step(first):
        for path in (folder / step).glob("*.latest.pt"):
            path.unlink()
            print(f"{', '.join(sorted(changed))} changed: {step} starts over.", file=sys.stderr)


def _document(config: RunConfig) -> dict[str, Any]:
    document: dict[str, Any] = json.loads(json.dumps(asdict(config)))
    return document


def _held(mark: Path) -> dict[str, Any]:
    if not mark.exists():
        return {}
    try:
        held = json.loads(mark.read_text("utf-8"))
        if isinstance(held["digest"], str) and isinstance(held["config"], dict):
            return dict(held)
    except (ValueError, KeyError, TypeError):
        pass
    raise RefusedError(
        "train.folder",
        f"{mark.parent.name}/{mark.name} is damaged: it does not say which configuration made this folder.",
        hint="Give another folder with --run, or start over with --fresh.",
    )


def _filled(document: dict[str, Any]) -> dict[str, Any]:
    """The configuration with keys that have come into the program since, at their defaults."""
    try:
        return _document(from_document(document))
    except RefusedError:
        return document
