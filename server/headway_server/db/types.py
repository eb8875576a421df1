"""Column types: tuples kept as JSON, so that records stay immutable."""

from __future__ import annotations

from typing import Any

from sqlalchemy import JSON, Dialect
from sqlalchemy.types import TypeDecorator


class JsonTuple(TypeDecorator[tuple[Any, ...]]):
    """A tuple of strings or objects, stored as a JSON list."""

    impl = JSON
    cache_ok = True

    def process_bind_param(self, value: tuple[Any, ...] | None, dialect: Dialect) -> Any:
        """The list to store."""
        return None if value is None else list(value)

    def process_result_value(self, value: Any, dialect: Dialect) -> tuple[Any, ...] | None:
        """The tuple that was stored."""
        return None if value is None else tuple(value)
