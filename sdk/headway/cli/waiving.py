"""``--waive METRIC=REASON`` of the publishing commands, as in training: what a gate does not pass, accepted openly."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from headway.cli.arguments import BadArgument

if TYPE_CHECKING:
    from headway.publisher.gate import Waiver

Waived = Annotated[
    list[str] | None,
    typer.Option(
        "--waive", metavar="METRIC=REASON", help="Accept a line of the gate that is not passed; the reason is signed."
    ),
]


def waivers(waive: list[str] | None) -> list[Waiver]:
    """The waivers.

    Raises:
        BadArgument: code ``bad_waiver``; a metric without a reason.
    """
    from headway.publisher.gate import Waiver

    pairs = [[part.strip() for part in text.partition("=")[::2]] for text in waive or ()]
    if not all(metric and why for metric, why in pairs):
        raise BadArgument(
            "bad_waiver",
            "A waiver needs a metric and a reason.",
            hint="Write --waive 'METRIC=REASON', for example --waive 'latency=no phone measured yet'.",
        )
    return [Waiver(metric, why) for metric, why in pairs]
