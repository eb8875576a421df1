"""Moments as people write them: a day in UTC, a time, or seconds since 1970."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta

from headway.cli.arguments import BadArgument


def moment(text: str, *, end: bool = True) -> int:
    """``2026-05-03``, ``2026-05-03T12:00``, ``2026-05-03T12:00+02:00`` or ``1777766400`` as seconds since 1970.

    A day means its last second, so that "on 3 May" holds what was decided that day, or without ``end`` its first one;
    a time without a zone is UTC.

    Raises:
        BadArgument: code ``malformed_time``.
    """
    try:
        if re.fullmatch(r"[0-9]{1,12}", text):
            return int(text)
        parsed = datetime.fromisoformat(text)
    except ValueError as error:
        raise BadArgument(
            "malformed_time",
            f"{text!r} is no day and no time.",
            hint="Write a day such as 2026-05-03, or a time such as 2026-05-03T12:00 (UTC).",
        ) from error
    if end and re.fullmatch(r"\d{4}-?\d{2}-?\d{2}", text):
        parsed += timedelta(days=1, seconds=-1)
    return int((parsed if parsed.tzinfo else parsed.replace(tzinfo=UTC)).timestamp())


def shown(seconds: int) -> str:
    """Seconds since 1970 as a time in UTC."""
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%d %H:%M:%S")
