"""``headway rollout``: watch a rollout and its decisions; advance, hold or halt it."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from headway.cli.connect import App, AsJson, Token, Url, effective, registry
from headway.cli.output import print_json, print_table

app = typer.Typer(help="Watch a rollout; advance, hold or halt it.", no_args_is_help=True)

Rollout = Annotated[str, typer.Argument(help="The rollout's id, as `headway rollout list` shows it.")]


@app.command("list")
def list_rollouts(url: Url = None, token: Token = None, app_name: App = None, as_json: AsJson = False) -> None:
    """List all rollouts with what devices reported."""
    with registry(effective(url=url, token=token, app=app_name)) as there:
        rows = there.rollouts()
    if as_json:
        print_json({"schema": 1, "rollouts": rows})
    else:
        print_table([_row(row) for row in rows], ("id", "release", "channel", "state", "share", "reported"))


def _row(row: dict[str, Any]) -> tuple[object, ...]:
    counts = ", ".join(f"{count} {kind.replace('_', ' ')}" for kind, count in row["counts"].items() if count)
    share = f"{row['permyriad'] / 100:.2f} %"
    return row["id"], f"{row['name']}@{row['release']}", row["channel"], row["state"], share, counts or "-"


@app.command()
def show(rollout: Rollout, url: Url = None, token: Token = None, app_name: App = None, as_json: AsJson = False) -> None:
    """Show a rollout and every decision about it, with its reason."""
    with registry(effective(url=url, token=token, app=app_name)) as there:
        row, decisions = there.rollout(rollout), there.decisions(rollout)
    if as_json:
        print_json({"schema": 1, "rollout": row, "decisions": decisions})
        return
    print_table([_row(row)], ("id", "release", "channel", "state", "share", "reported"))
    typer.echo("")
    print_table([(d["at"], d["action"], d["actor"], d["reason"]) for d in decisions], ("at", "action", "by", "why"))


@app.command()
def tick(rollout: Rollout, url: Url = None, token: Token = None, app_name: App = None, as_json: AsJson = False) -> None:
    """Let the registry decide now, by what devices reported."""
    with registry(effective(url=url, token=token, app=app_name)) as there:
        answer = there.tick(rollout)
    if as_json:
        print_json({"schema": 1, **answer})
    else:
        typer.echo(f"{answer['decision']['action']}: {answer['decision']['reason']}")


@app.command()
def advance(rollout: Rollout, url: Url = None, token: Token = None, app_name: App = None) -> None:
    """Go on to the next stage, or resume a held rollout."""
    _command("advance", rollout, url, token, app_name)


@app.command()
def hold(rollout: Rollout, url: Url = None, token: Token = None, app_name: App = None) -> None:
    """Offer it to nobody new; who has it keeps it."""
    _command("hold", rollout, url, token, app_name)


@app.command()
def halt(rollout: Rollout, url: Url = None, token: Token = None, app_name: App = None) -> None:
    """Stop it for good. Devices that have the release keep it: ordering them off is `headway channels recall`."""
    _command("halt", rollout, url, token, app_name)


def _command(action: str, rollout: str, url: str | None, token: str | None, app_name: str | None) -> None:
    with registry(effective(url=url, token=token, app=app_name)) as there:
        row = getattr(there, action)(rollout)
    typer.echo(
        f"{row['name']}@{row['release']} on {row['channel']} is {row['state']} at {row['permyriad'] / 100:.2f} %"
    )
