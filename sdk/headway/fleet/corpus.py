"""Real utterances of labelled dialogues, and where the project's own fixtures stand.

The fixtures belong to the source tree, not to the installed package: a demo needs them, an app does not.
"""

from __future__ import annotations

import lzma
import os
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from headway.contract.errors import RefusedError, malformed

VARIABLE = "HEADWAY_FIXTURES"


@dataclass(frozen=True, slots=True)
class Utterance:
    """One text, its label, and the dialogue it belongs to."""

    label: str
    dialogue: str
    text: str


def read_utterances(path: Path) -> tuple[Utterance, ...]:
    """Read a ``.tsv.xz`` with the columns label, dialogue, text (UTF-8, header line, no quoting).

    Raises:
        RefusedError: code ``malformed``; another header or a line of another shape.
    """
    # Not splitlines(): some texts hold characters that it would take for line ends.
    with lzma.open(path, "rt", encoding="utf-8", newline="\n") as stream:
        lines = stream.read().split("\n")
    if lines[0].split("\t") != ["label", "dialogue", "text"]:
        raise malformed("corpus", "line 1", "the columns label, dialogue, text")
    rows = [line.split("\t") for line in lines[1:] if line]
    for number, row in enumerate(rows, start=2):
        if len(row) != 3:
            raise malformed("corpus", f"line {number}", "three columns")
    return tuple(Utterance(*row) for row in rows)


def count_labels(utterances: Iterable[Utterance]) -> dict[str, int]:
    """How many texts each label has, by label name."""
    counts = Counter(utterance.label for utterance in utterances)
    return {label: counts[label] for label in sorted(counts)}


@dataclass(frozen=True, slots=True)
class Fixtures:
    """The folders with the bundled base, heads and text."""

    root: Path

    @property
    def base(self) -> Path:
        """The base release's folder."""
        return self.root / "models" / "base"

    def head(self, name: str) -> Path:
        """The folder of a committed head release."""
        return self.root / "models" / "heads" / name

    def split(self, name: str) -> Path:
        """``train``, ``dev`` or ``test`` of the demo's corpus."""
        return self.root / "data" / "kdconv_domain" / f"{name}.tsv.xz"


def find_fixtures(given: Path | None = None) -> Fixtures:
    """The fixtures at ``given``, at ``$HEADWAY_FIXTURES``, or in the source tree that this package runs from.

    Raises:
        RefusedError: code ``fixtures_missing``.
    """
    named = os.environ.get(VARIABLE)
    tree = [parent / "ios_fixtures" for parent in Path(__file__).resolve().parents[2:5]]
    for root in [given] if given else [Path(named)] if named else tree:
        if (root / "models" / "base" / "contract.json").is_file():
            return Fixtures(root)
    raise RefusedError(
        "fixtures_missing",
        "The bundled base, heads and text were not found.",
        hint=f"Run from a source tree, or set {VARIABLE} to its folder ios_fixtures.",
        kind="not_found",
    )
