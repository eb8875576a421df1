"""The pair ``--waive METRIC --reason TEXT`` of the publishing commands."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from headway.cli.arguments import BadArgument

if TYPE_CHECKING:
    from headway.publisher.gate import Waiver

Waived = Annotated[list[str] | None, typer.Option("--waive", help="A gate metric to accept as it is.")]
Reasons = Annotated[list[str] | None, typer.Option("--reason", help="Why, once for each --waive; it is signed.")]


def waivers(waive: list[str] | None, reason: list[str] | None) -> list[Waiver]:
    """The waivers, paired in order.

    Raises:
        BadArgument: code ``bad_waiver``; not one reason for each metric.
    """
    from headway.publisher.gate import Waiver

    metrics, reasons = waive or [], reason or []
    if len(metrics) != len(reasons):
        raise BadArgument(
            "bad_waiver",
            f"There are {len(metrics)} --waive and {len(reasons)} --reason.",
            hint="Give one --reason after each --waive.",
        )
    return [Waiver(metric, why) for metric, why in zip(metrics, reasons, strict=True)]
