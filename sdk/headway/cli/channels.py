"""``headway channels``: what a channel offers, recalls, and says about personalising."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from headway.cli.output import note, print_json, print_table
from headway.cli.registry import App, AsJson, BaseId, Channel, Token, Url, connect, effective, only_base_id, release_of
from headway.contract.digests import Digest, parse_digest
from headway.contract.errors import RefusedError

if TYPE_CHECKING:
    from headway.publisher.registry import Registry

app = typer.Typer(
    help="Offer releases on channels, recall them, stop personalising.", no_args_is_help=True, add_completion=False
)

Reference = Annotated[str, typer.Argument(metavar="NAME@RELEASE", help="The release.")]


@app.command()
def show(
    base_id: BaseId = None,
    channel: Channel = None,
    url: Url = None,
    token: Token = None,
    app_name: App = None,
    as_json: AsJson = False,
) -> None:
    """Show what a channel says now."""
    chosen = effective(url=url, token=token, app=app_name, channel=channel)
    with connect(chosen) as registry:
        document = registry.channel(chosen.need("channel"), only_base_id(registry, base_id))
    if as_json:
        print_json(document.to_json())
        return
    rows = [
        (
            f"{offer.name}@{offer.release}",
            offer.state,
            f"{offer.rollout.permyriad / 100:g} %",
            ",".join(offer.rollout.pins) or "-",
            ",".join(offer.rollout.excludes) or "-",
            document.directive(offer.name),
        )
        for offer in document.offers
    ]
    print_table(rows, ("release", "state", "share", "pins", "excludes", "personalise"))
    for recall in document.recalls:
        note(f"Recalled: {recall.digest} ({recall.reason})")


@app.command()
def offer(
    reference: Reference,
    share: Annotated[float, typer.Option(min=0, max=100, help="Percent of devices.")] = 100.0,
    stage: Annotated[
        list[str] | None, typer.Option(help="PERCENT:SOAK_SECONDS:MIN_CONFIRMED; repeat it for a schedule.")
    ] = None,
    pin: Annotated[list[str] | None, typer.Option(help="A group that always gets it.")] = None,
    exclude: Annotated[list[str] | None, typer.Option(help="A group that never gets it.")] = None,
    base_id: BaseId = None,
    channel: Channel = None,
    url: Url = None,
    token: Token = None,
    app_name: App = None,
    as_json: AsJson = False,
) -> None:
    """Offer a release: to everyone, to a share, or in stages that advance on confirmed health.

    Raising the share only ever adds devices.
    """
    schedule = [stage_of(text) for text in stage or ()]
    chosen = effective(url=url, token=token, app=app_name, channel=channel)
    release = release_of(reference)
    with connect(chosen) as registry:
        rollout = registry.offer(
            chosen.need("channel"),
            only_base_id(registry, base_id),
            release.name,
            release.number,
            permyriad=None if schedule else round(share * 100),
            schedule=schedule,
            pins=pin or (),
            excludes=exclude or (),
        )
    note(f"{reference} is offered on {chosen.channel.value} to {rollout['permyriad'] / 100:g} % of devices.")
    if as_json:
        print_json({"schema": 1, "rollout": rollout})
    else:
        typer.echo(rollout["id"])


def stage_of(text: str) -> dict[str, int]:
    """``5:86400:20`` as a stage: 5 % of devices, for a day at least, until 20 confirmed.

    Raises:
        RefusedError: code ``bad_schedule``.
    """
    try:
        percent, soak_s, confirmed = text.split(":")
        return {"permyriad": round(float(percent) * 100), "soak_s": int(soak_s), "min_confirmed": int(confirmed)}
    except ValueError as error:
        raise RefusedError(
            "bad_schedule",
            f"{text!r} is not a stage.",
            hint="Write PERCENT:SOAK_SECONDS:MIN_CONFIRMED, for example 5:86400:20.",
        ) from error


@app.command()
def yank(
    reference: Reference,
    base_id: BaseId = None,
    channel: Channel = None,
    url: Url = None,
    token: Token = None,
    app_name: App = None,
) -> None:
    """Stop offering a release; devices that have it keep it."""
    chosen = effective(url=url, token=token, app=app_name, channel=channel)
    release = release_of(reference)
    with connect(chosen) as registry:
        registry.yank(chosen.need("channel"), only_base_id(registry, base_id), release.name, release.number)
    note(f"{reference} is no longer offered on {chosen.channel.value}.")


@app.command()
def recall(
    head: Annotated[str, typer.Argument(metavar="NAME@RELEASE|sha256:…", help="The head to leave.")],
    reason: Annotated[str, typer.Option("--reason", help="Why, in one sentence; devices report it back.")],
    base_id: BaseId = None,
    channel: Channel = None,
    url: Url = None,
    token: Token = None,
    app_name: App = None,
) -> None:
    """Order devices off a head, whichever number it has."""
    chosen = effective(url=url, token=token, app=app_name, channel=channel)
    with connect(chosen) as registry:
        base = only_base_id(registry, base_id)
        digest = parse_digest(head) if head.startswith("sha256:") else _digest(registry, head, base)
        new = registry.recall(chosen.need("channel"), base, digest, reason)
    note(f"{head} is {'now' if new else 'already'} recalled on {chosen.channel.value}.")


@app.command()
def personalise(
    name: Annotated[str, typer.Argument(help="The head's name.")],
    directive: Annotated[
        str, typer.Argument(help="allow, hold (train no more) or discard (also leave personal ones).")
    ],
    base_id: BaseId = None,
    channel: Channel = None,
    url: Url = None,
    token: Token = None,
    app_name: App = None,
) -> None:
    """Say whether devices may train a head on their own samples."""
    chosen = effective(url=url, token=token, app=app_name, channel=channel)
    with connect(chosen) as registry:
        registry.personalise(chosen.need("channel"), only_base_id(registry, base_id), name, directive)
    note(f"Personalising {name} on {chosen.channel.value}: {directive}.")


@app.command("poll-interval")
def poll_interval(
    seconds: Annotated[int, typer.Argument(min=1, help="Seconds between two polls of a device.")],
    base_id: BaseId = None,
    channel: Channel = None,
    url: Url = None,
    token: Token = None,
    app_name: App = None,
) -> None:
    """Say how often devices poll."""
    chosen = effective(url=url, token=token, app=app_name, channel=channel)
    with connect(chosen) as registry:
        registry.set_poll_interval(chosen.need("channel"), only_base_id(registry, base_id), seconds)
    note(f"Devices on {chosen.channel.value} poll every {seconds} s.")


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
