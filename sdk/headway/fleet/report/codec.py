"""A report's JSON file."""

from __future__ import annotations

import json
from dataclasses import asdict

from headway.contract.errors import malformed
from headway.fleet.codec import build
from headway.fleet.report.model import SCHEMA, FleetReport

_DOCUMENT = "fleet report"


def to_json(report: FleetReport) -> str:
    """The report as indented JSON with a final line feed (UTF-8, not canonical: it holds fractions)."""
    return json.dumps(asdict(report), ensure_ascii=False, indent=1, allow_nan=False) + "\n"


def from_json(text: str | bytes) -> FleetReport:
    """Read a report.

    Raises:
        RefusedError: code ``malformed``; not JSON, another schema, or a field of another type.
    """
    try:
        value = json.loads(text)
    except ValueError as error:
        raise malformed(_DOCUMENT, "$", "JSON") from error
    if not isinstance(value, dict) or value.get("schema") != SCHEMA:
        raise malformed(_DOCUMENT, "$.schema", str(SCHEMA))
    return build(FleetReport, value, _DOCUMENT)
