"""Arguments that need more than a type: releases, shares and stages. What cannot be meant is a usage error (exit 2)."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from headway.contract.errors import RefusedError
from headway.contract.versions import ReleaseReference, parse_reference


class BadArgument(RefusedError):
    """The command line itself is wrong: nothing was asked of a registry and nothing was written. Exit code 2."""

    def __init__(self, code: str, message: str, *, hint: str) -> None:
        super().__init__(code, message, hint=hint, kind="usage")


def release_of(reference: str) -> ReleaseReference:
    """``topic@17`` as a release.

    Raises:
        BadArgument: code ``malformed_reference``; also for a channel or a digest.
    """
    try:
        parsed = parse_reference(reference)
    except RefusedError:
        parsed = None
    if isinstance(parsed, ReleaseReference):
        return parsed
    raise BadArgument(
        "malformed_reference",
        f"{reference!r} does not name one release.",
        hint="Write NAME@RELEASE, for example topic@17; `headway heads list` shows them.",
    )


def permyriad(percent: float) -> int:
    """A share in percent as hundredths of a percent.

    Raises:
        BadArgument: code ``bad_share``; not from 0 to 100, or finer than a hundredth of a percent.
    """
    hundredths = round(percent * 100) if 0 <= percent <= 100 else -1
    if hundredths < 0 or abs(hundredths - percent * 100) > 1e-6:
        raise BadArgument(
            "bad_share",
            f"{percent:g} % is no share of devices.",
            hint="Write a percentage from 0 to 100 with at most two decimals, for example 2.5.",
        )
    return hundredths


def stage_of(text: str) -> dict[str, int]:
    """``5:86400:20`` as a stage: 5 % of devices, for a day at least, until 20 confirmed.

    Raises:
        BadArgument: codes ``bad_schedule``, ``bad_share``.
    """
    try:
        percent, soak_s, confirmed = text.split(":")
        share, stage = float(percent), {"soak_s": int(soak_s), "min_confirmed": int(confirmed)}
        if min(stage.values()) < 0:
            raise ValueError(text)
    except ValueError as error:
        raise BadArgument(
            "bad_schedule",
            f"{text!r} is not a stage.",
            hint="Write PERCENT:SOAK_SECONDS:MIN_CONFIRMED, for example 5:86400:20.",
        ) from error
    return {"permyriad": permyriad(share), **stage}


def pairs(given: Iterable[str], option: str, form: str) -> dict[str, str]:
    """``left=right`` of each value of an option that may be repeated.

    Raises:
        BadArgument: code ``bad_pair``.
    """
    found = {}
    for text in given:
        left, equals, right = text.partition("=")
        if not (left and equals and right):
            raise BadArgument("bad_pair", f"{text!r} is not what {option} takes.", hint=f"Write {option} {form}.")
        found[left] = right
    return found


def thresholds(given: Iterable[str]) -> dict[str, int]:
    """``targets=3`` of each value of ``--threshold``.

    Raises:
        BadArgument: code ``bad_pair``.
    """
    found = pairs(given, "--threshold", "ROLE=N")
    for role, count in found.items():
        if not (count.isascii() and count.isdigit() and 1 <= int(count) <= 99):
            raise BadArgument("bad_pair", f"{role} cannot need {count!r} signatures.", hint="Write --threshold ROLE=N.")
    return {role: int(count) for role, count in found.items()}


def writable(path: Path) -> Path:
    """``path``, if a file can be made there: asked before long work whose result goes into it.

    Raises:
        BadArgument: code ``cannot_write``.
    """
    if path.parent.is_dir() and not path.is_dir():
        return path
    why = "it is a folder" if path.is_dir() else f"there is no folder {path.parent}"
    raise BadArgument("cannot_write", f"Cannot write {path}: {why}.", hint="Make the folder, or choose another place.")
