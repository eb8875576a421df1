"""Frozen dataclasses to plain objects and back, strictly and by their own type hints.

One direction is `dataclasses.asdict`; the other builds each field by its declared type, so a document written by an
older or foreign tool fails with the path of the wrong field instead of half-working. In a union of dataclasses the
field ``do`` chooses: it is the class name in lower case. Fields with a default may be missing; unknown ones are
refused where ``strict`` is asked for, because a scenario's slip of the pen must not be ignored.
"""

from __future__ import annotations

import types
from dataclasses import MISSING, Field, fields, is_dataclass
from functools import cache
from typing import Any, TypeVar, Union, cast, get_args, get_origin, get_type_hints

from headway.contract.errors import RefusedError, malformed

T = TypeVar("T")


def build(kind: type[T], value: object, document: str, *, strict: bool = False) -> T:
    """``value`` (decoded JSON or TOML) as a ``kind``.

    Raises:
        RefusedError: code ``malformed``, naming the path of the wrong field.
    """
    return cast(T, _Builder(document, strict).build(kind, value, "$"))


@cache
def _hints(kind: type) -> dict[str, Any]:
    return get_type_hints(kind)


class _Builder:
    def __init__(self, document: str, strict: bool) -> None:
        self._document = document
        self._strict = strict

    def build(self, kind: Any, value: Any, path: str) -> Any:
        origin = get_origin(kind)
        if origin in (Union, types.UnionType):
            return self._union(get_args(kind), value, path)
        if origin is tuple:
            return self._tuple(get_args(kind), value, path)
        if origin is dict:
            return self._dict(get_args(kind)[1], value, path)
        if is_dataclass(kind) and isinstance(kind, type):
            return self._dataclass(kind, value, path)
        return self._scalar(kind, value, path)

    def _union(self, options: tuple[Any, ...], value: Any, path: str) -> Any:
        if value is None and type(None) in options:
            return None
        wanted = [option for option in options if option is not type(None)]
        tagged = {_tag(option): option for option in wanted if is_dataclass(option)}
        if isinstance(value, dict) and len(tagged) > 1:
            if value.get("do") not in tagged:
                raise malformed(self._document, f"{path}.do", "one of " + ", ".join(tagged))
            return self.build(tagged[value["do"]], {k: v for k, v in value.items() if k != "do"}, path)
        # The exact type first: bool before int, int before float.
        wanted.sort(key=lambda option: option is not type(value))
        for option in wanted[:-1]:
            try:
                return self.build(option, value, path)
            except RefusedError:
                continue
        return self.build(wanted[-1], value, path)

    def _tuple(self, inner: tuple[Any, ...], value: Any, path: str) -> tuple[Any, ...]:
        if not isinstance(value, list | tuple):
            raise malformed(self._document, path, "a list")
        if inner[-1] is not Ellipsis and len(inner) != len(value):
            raise malformed(self._document, path, f"a list of {len(inner)}")
        kinds = [inner[0]] * len(value) if inner[-1] is Ellipsis else inner
        return tuple(
            self.build(kind, item, f"{path}[{i}]") for i, (kind, item) in enumerate(zip(kinds, value, strict=True))
        )

    def _dict(self, kind: Any, value: Any, path: str) -> dict[str, Any]:
        if not isinstance(value, dict):
            raise malformed(self._document, path, "an object")
        return {str(key): self.build(kind, item, f"{path}.{key}") for key, item in value.items()}

    def _dataclass(self, kind: type, value: Any, path: str) -> Any:
        if not isinstance(value, dict):
            raise malformed(self._document, path, "an object")
        declared = {entry.name: entry for entry in fields(kind)}
        unknown = sorted(set(value) - set(declared))
        if unknown and self._strict:
            raise malformed(self._document, f"{path}.{unknown[0]}", "absent; known are " + ", ".join(declared))
        missing = [name for name, entry in declared.items() if name not in value and _required(entry)]
        if missing:
            raise malformed(self._document, f"{path}.{missing[0]}", "present")
        hints = _hints(kind)
        given = {name: self.build(hints[name], value[name], f"{path}.{name}") for name in declared if name in value}
        return kind(**given)

    def _scalar(self, kind: Any, value: Any, path: str) -> Any:
        if kind is float and isinstance(value, int | float) and not isinstance(value, bool):
            return float(value)
        if type(value) is not kind:
            raise malformed(self._document, path, f"of type {getattr(kind, '__name__', kind)}")
        return value


def _tag(kind: Any) -> str:
    return str(kind.__name__).lower()


def _required(entry: Field[Any]) -> bool:
    return entry.default is MISSING and entry.default_factory is MISSING
