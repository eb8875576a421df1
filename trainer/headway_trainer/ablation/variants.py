"""Variants of a configuration: a name and a few keys with other values.

Pure. Shipped ones are named here, a person's own stand in a TOML file, a table each, keys as in a configuration. What a
variant asks for is checked like any configuration; one that changes nothing is refused, not run for nothing.
"""

from __future__ import annotations

import json
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, NoReturn

from headway.contract.errors import RefusedError
from headway.contract.versions import parse_name
from headway_trainer.binding import changed_keys
from headway_trainer.config import RunConfig, from_document
from headway_trainer.order import ORDER, earliest, first_reader

PARENT = "parent"
"""What the run itself is called in tables and folders; no variant may be called so."""

_NO_STATES = {"task.hidden_weight": 0.0, "qat.hidden_weight": 0.0}
_NO_ATTENTION = {"task.attention_weight": 0.0, "qat.attention_weight": 0.0}

_SHIPPED: dict[str, dict[str, Any]] = {
    "no-general": {"general.steps": 0},
    "no-hidden": {"general.hidden_weight": 0.0, **_NO_STATES},
    "no-attention": {"general.attention_weight": 0.0, **_NO_ATTENTION},
    "labels-alone": {"task.alpha": 0.0, "qat.alpha": 0.0, **_NO_STATES, **_NO_ATTENTION},
    "no-teacher": {"general.steps": 0, "task.alpha": 0.0, "qat.alpha": 0.0, **_NO_STATES, **_NO_ATTENTION},
    "no-ngrams": {"ngram.share": 0.0},
    "no-pieces": {"pieces.per_text": 0, "pieces.unlabelled": 0},
    "temperature-1": {"task.temperature": 1.0, "qat.temperature": 1.0},
    "temperature-2": {"task.temperature": 2.0, "qat.temperature": 2.0},
    "temperature-4": {"task.temperature": 4.0, "qat.temperature": 4.0},
    "rounded": {"qat.epochs": 0},
    "no-lexicon": {"lexicon.buckets": 0},
    "bits-6": {"compress.release": "6"},
    "bits-4": {"compress.release": "4"},
    "pooling-mean": {"student.pooling": "mean"},
    "pooling-cls": {"student.pooling": "cls"},
    "pooling-both": {"student.pooling": "both"},
    "pooling-mean-max": {"student.pooling": "mean_max"},
}


@dataclass(frozen=True, slots=True)
class Variant:
    """A name and the dotted keys it replaces with their values; a list is one value."""

    name: str
    keys: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Varied:
    """A variant of a parent: its configuration, each changed key with (old, new), the first step that reads one."""

    name: str
    config: RunConfig
    changes: Mapping[str, tuple[Any, Any]]
    first: str


def shipped(config: RunConfig) -> dict[str, Variant]:
    """Return the variants that need no file, by name; features may be taken from each layer below the last."""
    layers = {f"layer-{number}": {"student.feature_layer": number} for number in range(1, config.student.layers)}
    return {name: Variant(name, keys) for name, keys in {**_SHIPPED, **layers}.items()}


def read_variants(path: Path) -> dict[str, Variant]:
    """Read a person's own variants. Raises `RefusedError` (`train.variant`) for a file that holds none."""
    try:
        document = tomllib.loads(path.read_text("utf-8"))
    except (OSError, tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise _refused(f"{path.name} cannot be read: {error}") from error
    found: dict[str, Variant] = {}
    for name, table in document.items():
        if not isinstance(table, dict) or not table:
            raise _refused(f"{path.name}: {name} is no table of keys")
        parse_name(name, what="variant name")
        if name == PARENT:
            raise _refused(f"{path.name}: {PARENT} is the name of the run itself")
        found[name] = Variant(name, _dotted(table))
    if not found:
        raise _refused(f"{path.name} holds no variant")
    return found


def chosen(
    config: RunConfig, names: Sequence[str], own: Mapping[str, Variant], until: Sequence[str] = ORDER
) -> list[Varied]:
    """Return the named variants; without names those of the person's file, or else all shipped ones that differ.

    A difference that no step of `until` reads is none.

    Raises `RefusedError`: `train.variant` for an unknown name or a variant that changes nothing, `train.config` for a
    key or value that no configuration takes.
    """
    known = {**shipped(config), **own}
    for name in names:
        if name not in known:
            raise _refused(f"There is no variant {name}", f"Variants are {', '.join(known)}.")
    wanted = [known[name] for name in dict.fromkeys(names or own)]
    if not wanted:
        return [found for variant in known.values() if (found := _fitting(config, variant, until))]
    return [varied(config, variant, until) or _same(variant) for variant in wanted]


def varied(config: RunConfig, variant: Variant, until: Sequence[str] = ORDER) -> Varied | None:
    """Return the parent's configuration with the variant's keys, or None if no step of `until` reads what they change.

    Raises `RefusedError` (`train.config`) for a key or value that no configuration takes.
    """
    before = as_document(config)
    other = from_document(_with(before, variant.keys), f"variant {variant.name}")
    after = as_document(other)
    keys = changed_keys(before, after)
    first = earliest({step for key in keys if (step := first_reader(key))})
    if first is None or first not in until:
        return None
    return Varied(variant.name, other, {key: (_at(before, key), _at(after, key)) for key in sorted(keys)}, first)


def _fitting(config: RunConfig, variant: Variant, until: Sequence[str]) -> Varied | None:
    """Return a shipped variant where it fits this configuration: with float16 released there are no palettes."""
    try:
        return varied(config, variant, until)
    except RefusedError:
        return None


def as_document(config: RunConfig) -> dict[str, Any]:
    """Return a configuration as the keys and values it could be read from."""
    document: dict[str, Any] = json.loads(json.dumps(asdict(config)))
    return document


def _dotted(table: Mapping[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for key, value in table.items():
        if isinstance(value, dict) and value:
            found |= {f"{key}.{inner}": held for inner, held in _dotted(value).items()}
        else:
            found[key] = value
    return found


def _with(document: Mapping[str, Any], keys: Mapping[str, Any]) -> dict[str, Any]:
    copied: dict[str, Any] = json.loads(json.dumps(document))
    for key, value in keys.items():
        *above, last = key.split(".")
        table = copied
        for name in above:
            table = table.setdefault(name, {})
            if not isinstance(table, dict):
                raise _refused(f"{key} is no key of a configuration")
        table[last] = value
    return copied


def _at(document: Any, key: str) -> Any:
    for name in key.split("."):
        document = document.get(name) if isinstance(document, dict) else None
    return document


def _same(variant: Variant) -> NoReturn:
    told = ", ".join(f"{key} = {value}" for key, value in variant.keys.items())
    raise _refused(f"The variant {variant.name} changes nothing that is measured: {told} holds already or comes after")


def _refused(why: str, hint: str = "") -> RefusedError:
    return RefusedError(
        "train.variant",
        f"{why}.",
        hint=hint or "A variant is a table of a configuration's keys, such as [cold] task.temperature = 1.0.",
    )
