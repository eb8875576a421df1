"""A report's JSON: dataclasses to objects and back, strictly and by their own type hints.

One direction is `dataclasses.asdict`; the other builds each field by its declared type, so a report written by an
older or foreign tool fails with the path of the wrong field instead of half-working.
"""

from __future__ import annotations

import json
import types
from dataclasses import asdict, fields, is_dataclass
from functools import cache
from typing import Any, Union, get_args, get_origin, get_type_hints

from headway.contract.errors import RefusedError, malformed
from headway.fleet.report.model import SCHEMA, FleetReport

_DOCUMENT = "fleet report"


def to_json(report: FleetReport) -> str:
    """The report as indented JSON with a final line feed (UTF-8, not canonical: it holds fractions)."""
    return json.dumps(asdict(report), ensure_ascii=False, indent=1, allow_nan=False) + "\n"


def from_json(text: str | bytes) -> FleetReport:
    """Read a report.

    Raises:
        RefusedError: code ``malformed``; not JSON, a newer schema, or a field of another type.
    """
    try:
        value = json.loads(text)
    except ValueError as error:
        raise malformed(_DOCUMENT, "$", "JSON") from error
    if not isinstance(value, dict) or value.get("schema") != SCHEMA:
        raise malformed(_DOCUMENT, "$.schema", str(SCHEMA))
    report = _build(FleetReport, value, "$")
    assert isinstance(report, FleetReport)
    return report


@cache
def _hints(kind: type) -> dict[str, Any]:
    return get_type_hints(kind)


def _build(kind: Any, value: Any, path: str) -> Any:
    origin = get_origin(kind)
    if origin in (Union, types.UnionType):
        return _union(kind, value, path)
    if origin is tuple:
        return _tuple(kind, value, path)
    if origin is dict:
        if not isinstance(value, dict):
            raise malformed(_DOCUMENT, path, "an object")
        return {str(key): _build(get_args(kind)[1], item, f"{path}.{key}") for key, item in value.items()}
    if is_dataclass(kind) and isinstance(kind, type):
        return _dataclass(kind, value, path)
    return _scalar(kind, value, path)


def _union(kind: Any, value: Any, path: str) -> Any:
    if value is None and type(None) in get_args(kind):
        return None
    wanted = [option for option in get_args(kind) if option is not type(None)]
    # The exact type first: bool before int, int before float.
    for option in sorted(wanted, key=lambda option: option is not type(value)):
        try:
            return _build(option, value, path)
        except RefusedError:
            if len(wanted) == 1:
                raise
    raise malformed(_DOCUMENT, path, f"one of {kind}")


def _tuple(kind: Any, value: Any, path: str) -> tuple[Any, ...]:
    if not isinstance(value, list | tuple):
        raise malformed(_DOCUMENT, path, "a list")
    return tuple(_build(get_args(kind)[0], item, f"{path}[{index}]") for index, item in enumerate(value))


def _dataclass(kind: type, value: Any, path: str) -> Any:
    if not isinstance(value, dict):
        raise malformed(_DOCUMENT, path, "an object")
    hints = _hints(kind)
    names = [entry.name for entry in fields(kind)]
    missing = [name for name in names if name not in value]
    if missing:
        raise malformed(_DOCUMENT, f"{path}.{missing[0]}", "present")
    return kind(**{name: _build(hints[name], value[name], f"{path}.{name}") for name in names})


def _scalar(kind: Any, value: Any, path: str) -> Any:
    if kind is float and isinstance(value, int | float) and not isinstance(value, bool):
        return float(value)
    if type(value) is not kind:
        raise malformed(_DOCUMENT, path, f"of type {getattr(kind, '__name__', kind)}")
    return value
