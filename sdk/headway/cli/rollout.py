"""``headway rollout``: watch a rollout; advance, hold or halt it."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from headway.cli.moments import shown
from headway.cli.options import AsJson, There, reaching
from headway.cli.output import note, print_json, print_table

app = typer.Typer(help="Watch a rollout; advance, hold or halt it.", no_args_is_help=True, add_completion=False)

Rollout = Annotated[str, typer.Argument(metavar="ID", help="A rollout's id; see `headway rollout list`.")]


@app.command("list")
@reaching()
def list_rollouts(there: There, as_json: AsJson = False) -> None:
    """List rollouts with what devices reported."""
    with there.registry() as registry:
        rollouts = registry.rollouts()
    if as_json:
        print_json({"schema": 1, "rollouts": rollouts})
    else:
        _table(rollouts)


@app.command()
@reaching()
def show(there: There, rollout: Rollout, as_json: AsJson = False) -> None:
    """Show one rollout and every decision about it."""
    with there.registry() as registry:
        record, decisions = registry.rollout(rollout), registry.decisions(rollout)
    if as_json:
        print_json({"schema": 1, "rollout": record, "decisions": decisions})
        return
    _table([record])
    if decisions:
        rows = [(shown(d["at"]), d["action"], d["actor"], d["reason"]) for d in decisions]
        typer.echo("")
        print_table(rows, ("at", "action", "by", "why"))


@app.command()
@reaching()
def advance(there: There, rollout: Rollout, as_json: AsJson = False) -> None:
    """Go on to the next stage, or resume a held rollout."""
    with there.registry() as registry:
        record = registry.advance(rollout)
    _told(record, as_json)


@app.command()
@reaching()
def hold(there: There, rollout: Rollout, as_json: AsJson = False) -> None:
    """Offer it to nobody new; who has it keeps it."""
    with there.registry() as registry:
        record = registry.hold(rollout)
    _told(record, as_json)


@app.command()
@reaching()
def halt(there: There, rollout: Rollout, as_json: AsJson = False) -> None:
    """Stop it for good. Devices that have the release keep it: ordering them off is `headway channels recall`."""
    with there.registry() as registry:
        record = registry.halt(rollout)
    _told(record, as_json)


@app.command()
@reaching()
def tick(there: There, rollout: Rollout, as_json: AsJson = False) -> None:
    """Let the registry decide about it now, by what devices reported."""
    with there.registry() as registry:
        answer = registry.tick(rollout)
    if as_json:
        print_json({"schema": 1, **answer})
        return
    note(f"{answer['decision']['action']}: {answer['decision']['reason']}")
    _table([answer["rollout"]])


def _told(record: dict[str, Any], as_json: bool) -> None:
    if as_json:
        print_json({"schema": 1, "rollout": record})
    else:
        _table([record])


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
