"""``headway channels``: what a channel offers, recalls, and says about personalising."""

from __future__ import annotations

import secrets
from typing import Annotated

import typer

from headway.cli.connect import App, AsJson, BaseId, Channel, Token, Url, effective, registry, release_of
from headway.cli.output import note, print_json, print_table
from headway.contract.digests import Digest, parse_digest
from headway.contract.errors import RefusedError

app = typer.Typer(help="Offer releases on channels, recall them, stop personalising.", no_args_is_help=True)


@app.command()
def show(
    base_id: BaseId,
    channel: Channel = None,
    url: Url = None,
    token: Token = None,
    app_name: App = None,
    as_json: AsJson = False,
) -> None:
    """Show what a channel says now."""
    chosen = effective(url=url, token=token, app=app_name, channel=channel)
    with registry(chosen) as there:
        document = there.channel(chosen.need("channel"), base_id)
    if as_json:
        print_json(document.to_json())
        return
    note(f"epoch {document.epoch}, devices poll every {document.poll_after_s} s")
    rows = [
        (f"{o.name}@{o.release}", o.state, f"{o.rollout.permyriad / 100:.2f} %", ", ".join(o.rollout.pins) or "-")
        for o in document.offers
    ]
    print_table(rows, ("offer", "state", "share", "pinned groups"))
    for recall in document.recalls:
        typer.echo(f"recalled {recall.digest}: {recall.reason}")
    for name, directive in document.personalise.items():
        typer.echo(f"personalising {name}: {directive}")


@app.command()
def offer(
    reference: Annotated[str, typer.Argument(help="The release, for example topic@17.")],
    base_id: BaseId,
    permyriad: Annotated[int, typer.Option(min=0, max=10_000, help="Share of devices, of 10,000.")] = 10_000,
    stage: Annotated[
        list[str], typer.Option("--stage", help="PERMYRIAD:SOAK_SECONDS:MIN_CONFIRMED; repeat it for a schedule.")
    ] = (),  # type: ignore[assignment]
    pin: Annotated[list[str], typer.Option(help="A group of devices that always gets it.")] = (),  # type: ignore[assignment]
    exclude: Annotated[list[str], typer.Option(help="A group of devices that never gets it.")] = (),  # type: ignore[assignment]
    channel: Channel = None,
    url: Url = None,
    token: Token = None,
    app_name: App = None,
    as_json: AsJson = False,
) -> None:
    """Offer a release: to everyone, to a share, or in stages that advance on confirmed health."""
    target = release_of(reference)
    schedule = [_stage(text) for text in stage]
    chosen = effective(url=url, token=token, app=app_name, channel=channel)
    with registry(chosen) as there:
        made = there.offer(
            chosen.need("channel"),
            base_id,
            target.name,
            target.number,
            permyriad=None if schedule else permyriad,
            # A new salt each time, so that the same people are not always first.
            salt=secrets.token_hex(8),
            pins=pin,
            excludes=exclude,
            schedule=schedule,
        )
    if as_json:
        print_json({"schema": 1, "rollout": made})
    else:
        typer.echo(f"rollout {made['id']}: {reference} to {made['permyriad'] / 100:.2f} % of devices")
        note(f"Watch it: headway rollout show {made['id']}")


def _stage(text: str) -> dict[str, int]:
    parts = text.split(":")
    if len(parts) != 3 or not all(part.isdigit() for part in parts):
        raise RefusedError(
            "bad_schedule",
            f"{text!r} is not a stage.",
            hint="Write PERMYRIAD:SOAK_SECONDS:MIN_CONFIRMED, for example 500:86400:20.",
        )
    permyriad, soak_s, confirmed = (int(part) for part in parts)
    return {"permyriad": permyriad, "soak_s": soak_s, "min_confirmed": confirmed}


@app.command()
def yank(
    reference: Annotated[str, typer.Argument(help="The release, for example topic@17.")],
    base_id: BaseId,
    channel: Channel = None,
    url: Url = None,
    token: Token = None,
    app_name: App = None,
) -> None:
    """Stop offering a release; devices that have it keep it."""
    target = release_of(reference)
    chosen = effective(url=url, token=token, app=app_name, channel=channel)
    with registry(chosen) as there:
        there.yank(chosen.need("channel"), base_id, target.name, target.number)
    typer.echo(f"{reference} is no longer offered")


@app.command()
def recall(
    what: Annotated[str, typer.Argument(help="topic@17, or the digest of its head.mlmodel.")],
    base_id: BaseId,
    reason: Annotated[str, typer.Option(help="Why, in one ASCII sentence; devices keep it with their record.")],
    channel: Channel = None,
    url: Url = None,
    token: Token = None,
    app_name: App = None,
) -> None:
    """Order devices off a head, whoever holds it, by the digest of its bytes."""
    chosen = effective(url=url, token=token, app=app_name, channel=channel)
    with registry(chosen) as there:
        digest = parse_digest(what) if what.startswith("sha256:") else _digest(there.heads(release_of(what).name), what)
        new = there.recall(chosen.need("channel"), base_id, digest, reason)
    typer.echo(f"{digest} {'is recalled' if new else 'was recalled already'}")


def _digest(rows: list[dict[str, object]], reference: str) -> Digest:
    number = release_of(reference).number
    for row in rows:
        if row["release"] == number:
            return parse_digest(row["head"])
    raise RefusedError(
        "no_such_release",
        f"There is no release {reference}.",
        hint="See what there is with `headway heads list`.",
        kind="not_found",
    )


@app.command()
def personalise(
    name: Annotated[str, typer.Argument(help="The head.")],
    directive: Annotated[str, typer.Argument(help="allow, hold (train no more) or discard (also leave generations).")],
    base_id: BaseId,
    channel: Channel = None,
    url: Url = None,
    token: Token = None,
    app_name: App = None,
) -> None:
    """Say whether devices may train a head."""
    chosen = effective(url=url, token=token, app=app_name, channel=channel)
    with registry(chosen) as there:
        there.personalise(chosen.need("channel"), base_id, name, directive)
    typer.echo(f"personalising {name}: {directive}")
