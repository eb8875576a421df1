"""The refusals of `headway train import`: one sentence that says which file, which line and what is wrong."""

from __future__ import annotations

from collections.abc import Sequence

from headway.contract.errors import RefusedError

_HINT = "Correct the file and import it again."


def unusable(name: str, why: str, hint: str = _HINT) -> RefusedError:
    """A file that cannot be used as a whole (`import.file`)."""
    return RefusedError("import.file", f"{name} cannot be used: {why}.", hint=hint)


def unreadable(name: str, error: OSError) -> RefusedError:
    """A file that is not there, or may not be read (`import.file`)."""
    missing = isinstance(error, FileNotFoundError)
    return RefusedError(
        "import.file",
        f"{name} cannot be used: it cannot be read: {error.strerror}.",
        hint="Check the path.",
        kind="not_found" if missing else "invalid",
    )


def at_line(code: str, name: str, line: int, why: str, hint: str = _HINT) -> RefusedError:
    """A line that cannot be used."""
    return RefusedError(code, f"{name}, line {line}: {why}.", hint=hint, line=line)


def at_lines(code: str, name: str, lines: Sequence[int], why: str, hint: str = _HINT) -> RefusedError:
    """Several lines with the same fault: the first is named, the others are counted."""
    more = len(lines) - 1
    others = f" (and {more} more {'line' if more == 1 else 'lines'} like it)" if more else ""
    return at_line(code, name, lines[0], f"{why}{others}", hint)
