"""Strict reading of decoded JSON: each field is asked for by name and type, and a wrong one is named by its path.

Unknown fields are ignored: an old device must be able to read what a newer publisher signed. A field that is
*required* to understand a document is announced by a new ``schema`` number instead. Text is printable ASCII
throughout, so whatever was read has a canonical form and can be digested again.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Any, TypeVar

from headway.contract.digests import MAX_INTEGER, Digest, check_value, is_printable_ascii, parse_digest
from headway.contract.errors import malformed

T = TypeVar("T")


def decode(data: bytes, document: str) -> Fields:
    """The JSON object in ``data``.

    Raises:
        RefusedError: code ``malformed``; not UTF-8, not JSON, duplicate keys, not an object, or a value without a
            canonical form (:func:`headway.contract.digests.check_value`), in an unknown field too.
    """

    def unique(pairs: list[tuple[str, object]]) -> dict[str, object]:
        result = dict(pairs)
        if len(result) != len(pairs):
            raise malformed(document, "$", "an object without duplicate keys")
        return result

    try:
        value = json.loads(data.decode("utf-8"), object_pairs_hook=unique)
    except (ValueError, RecursionError) as error:
        raise malformed(document, "$", "JSON in UTF-8") from error
    check_value(value, document=document)
    return Fields(value, document)


class Fields:
    """A JSON object being read. Every method raises ``RefusedError`` (code ``malformed``) for a wrong field."""

    def __init__(self, value: object, document: str, path: str = "$") -> None:
        if not isinstance(value, Mapping):
            raise malformed(document, path, "an object")
        self._value: Mapping[str, object] = value
        self._document = document
        self._path = path

    def _at(self, name: str) -> str:
        return f"{self._path}.{name}"

    def wrong(self, name: str, expected: str) -> Exception:
        """The error for field ``name``, for checks that a caller adds."""
        return malformed(self._document, self._at(name), expected)

    def has(self, name: str) -> bool:
        """Whether the field is there and not null."""
        return self._value.get(name) is not None

    def names(self) -> tuple[str, ...]:
        """The names of all fields present."""
        return tuple(self._value)

    def text(
        self, name: str, *, choices: tuple[str, ...] | None = None, min_length: int = 0, max_length: int = 4096
    ) -> str:
        """Printable ASCII of ``min_length`` … ``max_length`` characters, within ``choices`` if given."""
        value = self._value.get(name)
        if not isinstance(value, str) or not min_length <= len(value) <= max_length or not is_printable_ascii(value):
            raise malformed(
                self._document, self._at(name), f"printable ASCII of {min_length} to {max_length} characters"
            )
        if choices is not None and value not in choices:
            raise malformed(self._document, self._at(name), "one of " + ", ".join(choices))
        return value

    def integer(self, name: str, *, low: int = 0, high: int = MAX_INTEGER) -> int:
        """An integer within ``low`` … ``high``; a boolean is not an integer."""
        value = self._value.get(name)
        if not isinstance(value, int) or isinstance(value, bool) or not low <= value <= high:
            raise malformed(self._document, self._at(name), f"an integer from {low} to {high}")
        return value

    def boolean(self, name: str) -> bool:
        """``true`` or ``false``."""
        value = self._value.get(name)
        if not isinstance(value, bool):
            raise malformed(self._document, self._at(name), "true or false")
        return value

    def digest(self, name: str) -> Digest:
        """A digest."""
        return parse_digest(self._value.get(name), document=self._document, path=self._at(name))

    def optional(self, name: str, read: Callable[[str], T]) -> T | None:
        """``read(name)`` where the field is there and not null: ``fields.optional("parent", fields.digest)``."""
        return read(name) if self.has(name) else None

    def nested(self, name: str) -> Fields:
        """A nested object."""
        return Fields(self._value.get(name), self._document, self._at(name))

    def items(self, name: str, *, most: int = 10_000) -> tuple[Any, ...]:
        """A list of at most ``most`` items, as they are."""
        value = self._value.get(name)
        if not isinstance(value, list | tuple) or len(value) > most:
            raise malformed(self._document, self._at(name), f"a list of at most {most} items")
        return tuple(value)

    def objects(self, name: str, *, most: int = 10_000) -> tuple[Fields, ...]:
        """A list of objects."""
        return tuple(
            Fields(item, self._document, f"{self._at(name)}[{index}]")
            for index, item in enumerate(self.items(name, most=most))
        )

    def texts(self, name: str, *, most: int = 10_000) -> tuple[str, ...]:
        """A list of strings of printable ASCII."""
        items = self.items(name, most=most)
        if not all(isinstance(item, str) and is_printable_ascii(item) for item in items):
            raise malformed(self._document, self._at(name), "a list of strings of printable ASCII")
        return tuple(str(item) for item in items)

    def schema(self, known: int) -> int:
        """The field ``schema``, which must not be newer than ``known``."""
        value = self.integer("schema", low=1)
        if value > known:
            raise malformed(self._document, self._at("schema"), f"at most {known} (written by a newer Headway)")
        return value
