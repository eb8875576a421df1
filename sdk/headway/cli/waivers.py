"""``--waive METRIC --reason TEXT``: pairs of options that publishing a base and a head share."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated

import typer

from headway.contract.errors import RefusedError

if TYPE_CHECKING:
    from headway.publisher.gate import Waiver

Waive = Annotated[list[str], typer.Option("--waive", help="Accept this metric of the gate as it is; may be repeated.")]
WaiveReason = Annotated[list[str], typer.Option("--reason", help="Why; one for each --waive, in the same order.")]


def waivers_of(metrics: Sequence[str], reasons: Sequence[str]) -> tuple[Waiver, ...]:
    """The waivers.

    Raises:
        RefusedError: code ``bad_waiver``; a waiver without its reason.
    """
    from headway.publisher.gate import Waiver

    if len(metrics) != len(reasons):
        raise RefusedError(
            "bad_waiver",
            f"There are {len(metrics)} --waive and {len(reasons)} --reason.",
            hint="Give each --waive METRIC a --reason TEXT after it.",
        )
    return tuple(Waiver(metric, reason) for metric, reason in zip(metrics, reasons, strict=True))
