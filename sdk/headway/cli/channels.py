"""``headway channels``: what a channel offers, recalls, and says about personalising."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Literal

import typer

from headway.cli.arguments import BadArgument, permyriad, release_of, stage_of
from headway.cli.options import AsJson, Release, There, reaching
from headway.cli.output import note, print_json, print_table
from headway.contract.digests import Digest, parse_digest
from headway.contract.errors import RefusedError

if TYPE_CHECKING:
    from headway.contract.channel import ChannelDocument
    from headway.publisher.registry import Registry

app = typer.Typer(
    help="Offer releases on channels, recall them, stop personalising.", no_args_is_help=True, add_completion=False
)

Directive = Literal["allow", "hold", "discard"]


@app.command()
@reaching("base_id", "channel")
def show(
    there: There,
    as_json: AsJson = False,
) -> None:
    """Show what a channel says now: its offers, what it recalls, which heads may be trained, how often to poll."""
    with there.registry() as registry:
        document = registry.channel(there.channel, there.base_id(registry))
    if as_json:
        print_json(document.to_json())
        return
    _show(document)


def _show(document: ChannelDocument) -> None:
    rows = [
        (
            f"{offer.name}@{offer.release}",
            offer.state,
            f"{offer.rollout.permyriad / 100:g} %",
            ",".join(offer.rollout.pins) or "-",
            ",".join(offer.rollout.excludes) or "-",
        )
        for offer in document.offers
    ]
    print_table(rows, ("release", "state", "share", "pins", "excludes"))
    if document.recalls:
        typer.echo("")
        print_table([(recall.digest, recall.reason) for recall in document.recalls], ("recalled", "why"))
    if document.personalise:
        typer.echo("")
        print_table(sorted(document.personalise.items()), ("head", "personalise"))
    note(f"Devices poll every {document.poll_after_s} s; what is not listed may be trained.")


@app.command()
@reaching("base_id", "channel")
def offer(
    there: There,
    reference: Release,
    share: Annotated[float | None, typer.Option(help="Percent of devices.", show_default="100")] = None,
    stage: Annotated[
        list[str] | None, typer.Option(help="PERCENT:SOAK_SECONDS:MIN_CONFIRMED; repeat it for a schedule.")
    ] = None,
    pin: Annotated[list[str] | None, typer.Option(help="A group that always gets it.")] = None,
    exclude: Annotated[list[str] | None, typer.Option(help="A group that never gets it.")] = None,
    as_json: AsJson = False,
) -> None:
    """Offer a release: to everyone, to a share, or in stages that advance on confirmed health.

    Raising the share only ever adds devices.
    """
    if share is not None and stage:
        raise BadArgument(
            "share_or_stages",
            "There are both --share and --stage.",
            hint="Give the first stage the share to begin with.",
        )
    schedule = [stage_of(text) for text in stage or ()]
    whole = permyriad(100 if share is None else share)
    release = release_of(reference)
    with there.registry() as registry:
        rollout = registry.offer(
            there.channel,
            there.base_id(registry),
            release.name,
            release.number,
            permyriad=None if schedule else whole,
            schedule=schedule,
            pins=pin or (),
            excludes=exclude or (),
        )
    note(f"{reference} is offered on {there.channel} to {rollout['permyriad'] / 100:g} % of devices.")
    if as_json:
        print_json({"schema": 1, "rollout": rollout})
    else:
        typer.echo(rollout["id"])


@app.command()
@reaching("base_id", "channel")
def yank(
    there: There,
    reference: Release,
) -> None:
    """Stop offering a release; devices that have it keep it."""
    release = release_of(reference)
    with there.registry() as registry:
        registry.yank(there.channel, there.base_id(registry), release.name, release.number)
    note(f"{reference} is no longer offered on {there.channel}.")


@app.command()
@reaching("base_id", "channel")
def recall(
    there: There,
    head: Annotated[str, typer.Argument(metavar="NAME@RELEASE|sha256:…", help="The head to leave.")],
    reason: Annotated[str, typer.Option("--reason", help="Why, in one sentence; devices report it back.")],
) -> None:
    """Order devices off a head, whichever number it has."""
    with there.registry() as registry:
        base = there.base_id(registry)
        digest = parse_digest(head) if head.startswith("sha256:") else _digest(registry, head, base)
        new = registry.recall(there.channel, base, digest, reason)
    note(f"{head} is {'now' if new else 'already'} recalled on {there.channel}.")


@app.command()
@reaching("base_id", "channel")
def personalise(
    there: There,
    name: Annotated[str, typer.Argument(help="The head's name.")],
    directive: Annotated[
        Directive, typer.Argument(help="allow, hold (train no more) or discard (also leave personal ones).")
    ],
) -> None:
    """Say whether devices may train a head on their own samples."""
    with there.registry() as registry:
        base = there.base_id(registry)
        if not any(record["base_id"] == base for record in registry.heads(name)):
            note(f"There is no head {name} on {base} yet; this will count once there is.")
        registry.personalise(there.channel, base, name, directive)
    note(f"Personalising {name} on {there.channel}: {directive}.")


@app.command("poll-interval")
@reaching("base_id", "channel")
def poll_interval(
    there: There,
    seconds: Annotated[int, typer.Argument(min=1, help="Seconds between two polls of a device.")],
) -> None:
    """Say how often devices poll."""
    with there.registry() as registry:
        registry.set_poll_interval(there.channel, there.base_id(registry), seconds)
    note(f"Devices on {there.channel} poll every {seconds} s.")


def _digest(registry: Registry, reference: str, base_id: str) -> Digest:
    release = release_of(reference)
    for record in registry.heads(release.name):
        if (record["release"], record["base_id"]) == (release.number, base_id):
            return parse_digest(record["head"])
    raise RefusedError(
        "no_such_release",
        f"There is no {reference} on {base_id}.",
        hint="See `headway heads list`.",
        kind="not_found",
    )
