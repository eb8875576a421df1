"""How a run tells what it is doing: a port, so that no part of a fleet ever writes to a terminal itself."""

from __future__ import annotations

from typing import Protocol


class Narrator(Protocol):
    """Hears what a run does. Calls are cheap and may be frequent; a narrator decides what to show."""

    def phase(self, code: str, title: str) -> None:
        """A chapter begins; ``code`` as in `headway.fleet.report.words.PHASES`."""
        ...

    def note(self, text: str) -> None:
        """Something worth a line."""
        ...

    def progress(self, label: str, done: int, total: int) -> None:
        """``done`` of ``total`` items of something long."""
        ...


class Silent:
    """Hears and says nothing."""

    def phase(self, code: str, title: str) -> None:
        """Ignore."""

    def note(self, text: str) -> None:
        """Ignore."""

    def progress(self, label: str, done: int, total: int) -> None:
        """Ignore."""
