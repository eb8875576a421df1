"""``headway rollout``: watch a rollout; advance, hold or halt it."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from headway.cli.output import note, print_json, print_table
from headway.cli.registry import App, AsJson, Token, Url, connect, effective

app = typer.Typer(help="Watch a rollout; advance, hold or halt it.", no_args_is_help=True, add_completion=False)

Rollout = Annotated[str, typer.Argument(help="A rollout's id; see `headway rollout list`.")]


@app.command("list")
def list_rollouts(url: Url = None, token: Token = None, app_name: App = None, as_json: AsJson = False) -> None:
    """List rollouts with what devices reported."""
    with connect(effective(url=url, token=token, app=app_name)) as registry:
        rollouts = registry.rollouts()
    if as_json:
        print_json({"schema": 1, "rollouts": rollouts})
    else:
        _table(rollouts)


@app.command()
def show(rollout: Rollout, url: Url = None, token: Token = None, app_name: App = None, as_json: AsJson = False) -> None:
    """Show one rollout and every decision about it."""
    with connect(effective(url=url, token=token, app=app_name)) as registry:
        record, decisions = registry.rollout(rollout), registry.decisions(rollout)
    if as_json:
        print_json({"schema": 1, "rollout": record, "decisions": decisions})
        return
    _table([record])
    if decisions:
        rows = [(d["at"], d["action"], d["actor"], d["reason"]) for d in decisions]
        typer.echo("")
        print_table(rows, ("at", "action", "by", "why"))


@app.command()
def advance(rollout: Rollout, url: Url = None, token: Token = None, app_name: App = None) -> None:
    """Go on to the next stage, or resume a held rollout."""
    with connect(effective(url=url, token=token, app=app_name)) as registry:
        _table([registry.advance(rollout)])


@app.command()
def hold(rollout: Rollout, url: Url = None, token: Token = None, app_name: App = None) -> None:
    """Offer it to nobody new; who has it keeps it."""
    with connect(effective(url=url, token=token, app=app_name)) as registry:
        _table([registry.hold(rollout)])


@app.command()
def halt(rollout: Rollout, url: Url = None, token: Token = None, app_name: App = None) -> None:
    """Stop it for good. Devices that have the release keep it: ordering them off is `headway channels recall`."""
    with connect(effective(url=url, token=token, app=app_name)) as registry:
        _table([registry.halt(rollout)])


@app.command()
def tick(rollout: Rollout, url: Url = None, token: Token = None, app_name: App = None, as_json: AsJson = False) -> None:
    """Let the registry decide about it now, by what devices reported."""
    with connect(effective(url=url, token=token, app=app_name)) as registry:
        answer = registry.tick(rollout)
    if as_json:
        print_json({"schema": 1, **answer})
        return
    note(f"{answer['decision']['action']}: {answer['decision']['reason']}")
    _table([answer["rollout"]])


def _table(rollouts: list[dict[str, Any]]) -> None:
    rows = [
        (
            r["id"],
            f"{r['name']}@{r['release']}",
            r["channel"],
            r["state"],
            f"{r['permyriad'] / 100:g} %",
            ", ".join(f"{kind} {count}" for kind, count in sorted(r.get("counts", {}).items())) or "-",
        )
        for r in rollouts
    ]
    print_table(rows, ("id", "release", "channel", "state", "share", "reported"))
