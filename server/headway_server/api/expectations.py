"""What a field of a request should have been, in words: pydantic's own are about patterns and types."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from headway_server.api.schemas import DIGEST, NAME

_PATTERNS = {
    NAME: "1 to 63 of a-z, 0-9 and -, with no dash at either end",
    DIGEST: "sha256: and 64 lower-case hex digits",
    r"^[0-9a-f]{16}$": "an id of 16 hex digits",
    r"^msg_[0-9a-f]{24}$": "msg_ and 24 hex digits",
}
_SENTENCES = {
    "missing": "there",
    "extra_forbidden": "absent",
    "string_type": "text",
    "int_type": "a whole number",
    "int_parsing": "a whole number",
    "float_type": "a number",
    "float_parsing": "a number",
    "bool_type": "true or false",
    "dict_type": "an object",
    "list_type": "a list",
    "greater_than_equal": "at least {ge}",
    "greater_than": "more than {gt}",
    "less_than_equal": "at most {le}",
    "less_than": "less than {lt}",
    "string_too_short": "at least {min_length} character(s) long",
    "string_too_long": "at most {max_length} characters long",
    "too_short": "at least {min_length} item(s) long",
    "too_long": "at most {max_length} items long",
    "json_invalid": "JSON",
}


def expected(error: Mapping[str, Any]) -> str:
    """What completes "$.field must be …" for one entry of ``ValidationError.errors()``; never quotes the input."""
    context = error.get("ctx", {})
    if error["type"] == "string_pattern_mismatch":
        return _pattern(str(context["pattern"]))
    if error["type"] in _SENTENCES:
        return _SENTENCES[error["type"]].format_map(context)
    return str(error["msg"]).removeprefix("Input should be ")


def _pattern(pattern: str) -> str:
    choices = re.fullmatch(r"\^\(([\w-]+(?:\|[\w-]+)*)\)\$", pattern)
    if choices:
        return "one of " + ", ".join(choices[1].split("|"))
    return _PATTERNS.get(pattern, f"text that matches {pattern}")
