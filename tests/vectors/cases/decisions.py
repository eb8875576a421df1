"""What one decision about releases is made of: profile, offers, signed heads, and the verdicts expected."""

from __future__ import annotations

from form import Case, digest

from cases.channels import GOOD as CHANNEL
from cases.judgements import HOST
from cases.rollouts import install_with
from cases.targets import HEAD

IN, OUT = install_with("r", 0, 999), install_with("r", 5000, 9999)
PROFILE: dict[str, object] = {
    "host": HOST,
    "install_id": IN,
    "groups": [],
    "current_release": 0,
    "floor_release": 0,
    "floor_head": None,
    "quarantined": [],
    "metadata_expired": False,
    "clock_behind": False,
}
Verdicts = list[tuple[int, list[str]]]


def head(release: int, **change: object) -> dict[str, object]:
    """The signed facts of a release; its bytes are ``head <release>``."""
    return {**HEAD, "release": release, "head": digest(f"head {release}"), "parent": None, **change}


def offer(release: int, permyriad: int = 10_000, state: str = "active", **rollout: object) -> dict[str, object]:
    """An offer under the salt ``r``."""
    whole = {"salt": "r", "permyriad": permyriad, "pins": [], "excludes": [], **rollout}
    return {"name": "topic", "release": release, "state": state, "rollout": whole}


def case(
    comment: str,
    flag: str,
    verdicts: Verdicts,
    chosen: int | None,
    reasons: list[str],
    *,
    offers: list[dict[str, object]],
    heads: list[dict[str, object]] | None = None,
    recalls: list[int] | None = None,
    off: list[int] | None = None,
    channel: dict[str, object] | None = None,
    **profile: object,
) -> Case:
    """One decision; ``recalls`` are releases whose bytes are recalled, ``off`` those to leave (default: the same)."""
    document = {
        **CHANNEL,
        "offers": offers,
        "recalls": [{"digest": digest(f"head {r}"), "reason": "bad"} for r in recalls or []],
        **(channel or {}),
    }
    signed = heads if heads is not None else [head(17), head(16)]
    releases = {int(str(h["release"])): str(h["head"]) for h in signed}
    return {
        "comment": comment,
        "flags": [flag],
        "name": "topic",
        "profile": {**PROFILE, **profile},
        "channel": document,
        "heads": signed,
        "chosen": chosen,
        "verdicts": [{"release": r, "head": releases[r], "reasons": why} for r, why in verdicts],
        "reasons": reasons,
        "ordered_off": sorted(digest(f"head {r}") for r in (recalls if off is None else off) or []),
    }
