"""How the command line speaks: data on standard output, everything else on standard error.

No bar or colour is shown where standard error is not a terminal or ``NO_COLOR`` is set.
"""

from __future__ import annotations

import json
import os
import re
import sys
import time
from collections.abc import Iterable, Sequence

from headway.contract.errors import HeadwayError, RefusedError

_EXTRA_OF_MODULE = {
    "numpy": "sim",
    "onnx": "sim",
    "onnxruntime": "sim",
    "coremltools": "sim",
    "safetensors": "sim",
    "stamina": "publish",
    "torch": "trainer",
    "transformers": "trainer",
    "sklearn": "trainer",
    "flask": "server",
    "flask_openapi": "server",
    "sqlalchemy": "server",
    "alembic": "server",
    "gunicorn": "server",
    "boto3": "server",
    "structlog": "server",
    "pydantic_settings": "server",
    "prometheus_client": "server",
    "jinja2": "report",
    "altair": "report",
}


def print_json(value: object) -> None:
    """One JSON document on standard output; Chinese stays readable."""
    sys.stdout.write(json.dumps(value, ensure_ascii=False, indent=2) + "\n")


def print_table(rows: Iterable[Sequence[object]], headings: Sequence[str]) -> None:
    """A plain aligned table on standard output; one without rows says so beside it, on standard error."""
    table = [list(headings), *([str(cell) for cell in row] for row in rows)]
    widths = [max(len(row[i]) for row in table) for i in range(len(headings))]
    for row in table:
        sys.stdout.write("  ".join(c.ljust(w) for c, w in zip(row, widths, strict=True)).rstrip() + "\n")
    if len(table) == 1:
        note("(none)")


def note(text: str) -> None:
    """One line of progress or explanation on standard error."""
    sys.stderr.write(text + "\n")
    sys.stderr.flush()


def print_error(error: HeadwayError) -> None:
    """``Error [code]: …`` then ``Hint: …`` on standard error."""
    red, plain = ("\x1b[31m", "\x1b[0m") if colour() else ("", "")
    note(f"{red}Error [{error.code}]:{plain} {error.message}")
    note(f"Hint: {error.hint}")


def colour() -> bool:
    """Whether standard error may be coloured."""
    return sys.stderr.isatty() and "NO_COLOR" not in os.environ


class Progress:
    """Progress of long work: one line that renews itself on a terminal, a line every few seconds elsewhere."""

    def __init__(self, label: str, total: int | None = None, *, unit: str = "", every_s: float = 5.0) -> None:
        self._label = label
        self._unit = f" {unit}" if unit else ""
        self._ended = False
        self._total = total
        self._every_s = every_s if not sys.stderr.isatty() else 0.1
        self._start = self._shown = time.monotonic()

    def update(self, done: int, detail: str = "") -> None:
        """Say how far it is; cheap enough to call for every item."""
        now = time.monotonic()
        if self._ended or (now - self._shown < self._every_s and done != self._total):
            return
        self._shown, self._ended = now, done == self._total
        elapsed = now - self._start
        rate = done / elapsed if elapsed > 0 else 0.0
        left = f", {(self._total - done) / rate:.0f} s left" if self._total and rate > 0 and not self._ended else ""
        of = f"/{self._total}" if self._total else ""
        text = f"{self._label}: {done}{of}{self._unit} ({rate:.1f}{self._unit}/s{left}) {detail}".rstrip()
        if sys.stderr.isatty():
            sys.stderr.write("\r\x1b[2K" + text + ("\n" if done == self._total else ""))
            sys.stderr.flush()
        else:
            note(text)


def explain_missing_extra(error: ModuleNotFoundError, extra: str | None) -> HeadwayError:
    """The error for a part that is not installed, naming the extra that brings it."""
    module = re.split(r"[.]", error.name or "")[0]
    wanted = _EXTRA_OF_MODULE.get(module, extra)
    # A missing module of our own is a broken installation, not a missing extra.
    if wanted is None or module.startswith("headway"):
        raise error
    return RefusedError(
        "missing_extra",
        f"This command needs {module}, which is not installed.",
        hint=f"Install it: pip install 'headway[{wanted}]'.",
        module=module,
        extra=wanted,
    )
