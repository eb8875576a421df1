"""How ``demo`` and ``simulate`` tell what is happening: chapters with their time, one renewing line on a terminal.

Without a terminal there is a plain line per chapter and note, and one every few seconds for long work.
"""

from __future__ import annotations

import sys
import time

from headway.cli.output import colour

_QUIET_S = 5.0


class Narration:
    """A `headway.fleet.narrator.Narrator` on standard error; ``quiet`` says nothing at all."""

    def __init__(self, *, quiet: bool = False) -> None:
        self._quiet = quiet
        self._terminal = sys.stderr.isatty()
        self._start = time.monotonic()
        self._shown = 0.0
        self._open_line = False
        self._chapter = 0

    def phase(self, code: str, title: str) -> None:
        """A chapter begins."""
        self._chapter += 1
        bold, plain = ("\x1b[1m", "\x1b[0m") if colour() else ("", "")
        self._line(f"{bold}{self._stamp()}  {self._chapter:2d}. {title}{plain}")

    def note(self, text: str) -> None:
        """Something worth a line."""
        self._line(f"{self._stamp()}      {text}")

    def progress(self, label: str, done: int, total: int) -> None:
        """Work in progress: renewed in place on a terminal, every few seconds elsewhere."""
        now = time.monotonic()
        if self._quiet or now - self._shown < (0.1 if self._terminal else _QUIET_S):
            return
        self._shown = now
        text = f"{self._stamp()}      {label}: {done}/{total}"
        if self._terminal:
            sys.stderr.write("\r\x1b[2K" + text)
            self._open_line = True
        else:
            sys.stderr.write(text + "\n")
        sys.stderr.flush()

    def _stamp(self) -> str:
        seconds = int(time.monotonic() - self._start)
        return f"{seconds // 60:02d}:{seconds % 60:02d}"

    def _line(self, text: str) -> None:
        if self._quiet:
            return
        sys.stderr.write(("\r\x1b[2K" if self._open_line else "") + text + "\n")
        sys.stderr.flush()
        self._open_line = False
