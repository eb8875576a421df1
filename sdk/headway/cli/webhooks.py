"""``headway webhooks``: who is told when a release is published, rolled out, halted or recalled."""

from __future__ import annotations

import sys
import time
from pathlib import Path
from typing import Annotated, Any, Literal

import typer

from headway.cli.arguments import BadArgument
from headway.cli.files import read_file
from headway.cli.moments import shown
from headway.cli.options import AsJson, Note, There, reaching
from headway.cli.output import note, print_json, print_table
from headway.contract.errors import TransferError

app = typer.Typer(help="Tell other programs what happens to an app.", no_args_is_help=True, add_completion=False)

Webhook = Annotated[str, typer.Argument(metavar="ID", help="A webhook's id; see `headway webhooks list`.")]
State = Literal["pending", "delivered", "dead"]
_PROBE_S = 0.5


@app.command()
def events(as_json: AsJson = False) -> None:
    """List the events that can be subscribed to."""
    from headway.contract.webhooks import EVENTS

    if as_json:
        print_json({"schema": 1, "events": EVENTS})
    else:
        print_table(EVENTS.items(), ("event", "told when"))


@app.command()
@reaching()
def add(
    there: There,
    target: Annotated[str, typer.Argument(metavar="URL", help="Where to send: an https address.")],
    event: Annotated[list[str] | None, typer.Option(help="An event; may be repeated.", show_default="all")] = None,
    why: Note = "",
    as_json: AsJson = False,
) -> None:
    """Add a webhook and print its secret: this is the only time it can be seen."""
    from headway.contract.webhooks import EVENTS

    with there.registry() as registry:
        made = registry.add_webhook(target, event or list(EVENTS), note=why)
    if as_json:
        print_json({"schema": 1, **made})
        return
    note(f"Added webhook {made['id']}. Its secret, shown this once:")
    typer.echo(made["secret"])


@app.command("list")
@reaching()
def list_webhooks(there: There, as_json: AsJson = False) -> None:
    """List the webhooks of the app."""
    with there.registry() as registry:
        found = registry.webhooks()
    if as_json:
        print_json({"schema": 1, "webhooks": found})
        return
    rows = [(w["id"], w["url"], ",".join(w["events"]), shown(w["created_at"]), w["note"]) for w in found]
    print_table(rows, ("id", "url", "events", "added", "note"))


@app.command()
@reaching()
def remove(there: There, webhook: Webhook) -> None:
    """Remove a webhook and everything still to be sent to it."""
    with there.registry() as registry:
        registry.remove_webhook(webhook)
    note(f"Removed {webhook}.")


@app.command("rotate-secret")
@reaching()
def rotate_secret(there: There, webhook: Webhook) -> None:
    """Make a new secret and print it, this once; the old one signs beside it for another day."""
    with there.registry() as registry:
        typer.echo(registry.rotate_webhook(webhook))


@app.command()
@reaching()
def ping(
    there: There,
    webhook: Webhook,
    wait: Annotated[float, typer.Option(min=0, help="Seconds to wait for its fate.")] = 30.0,
    as_json: AsJson = False,
) -> None:
    """Send a test message and say whether it arrived; exit 7 if it did not in time."""
    deadline = time.monotonic() + wait
    with there.registry() as registry:
        sent = registry.ping_webhook(webhook)
        while sent["attempts"] == 0 or (sent["state"] == "pending" and sent["error"] is None):
            if time.monotonic() >= deadline:
                break
            time.sleep(_PROBE_S)
            sent = next(d for d in registry.deliveries(webhook) if d["message"] == sent["message"])
    if as_json:
        print_json({"schema": 1, **sent})
    if sent["state"] == "delivered":
        note(f"Delivered: the receiver answered {sent['status']}.")
        return
    raise TransferError(
        "not_delivered",
        f"The test message did not arrive ({sent['error'] or 'not sent yet'}).",
        hint=f"It will be tried again; see `headway webhooks deliveries {webhook}`.",
    )


@app.command()
@reaching()
def deliveries(
    there: There,
    webhook: Webhook,
    state: Annotated[State | None, typer.Option(help="Only these.")] = None,
    limit: Annotated[int, typer.Option(min=1, max=500, help="At most so many.")] = 50,
    as_json: AsJson = False,
) -> None:
    """List what was sent and what is still to be, newest first."""
    with there.registry() as registry:
        found = registry.deliveries(webhook, state=state, limit=limit)
    if as_json:
        print_json({"schema": 1, "deliveries": found})
        return
    rows = [(d["message"], d["event"], d["state"], d["attempts"], shown(d["created_at"]), _fate(d)) for d in found]
    print_table(rows, ("message", "event", "state", "attempts", "happened", "last answer"))


@app.command()
@reaching()
def resend(
    there: There,
    webhook: Webhook,
    message: Annotated[list[str] | None, typer.Argument(help="Messages; see `headway webhooks deliveries`.")] = None,
    dead: Annotated[bool, typer.Option("--dead", help="All that are dead, at most 500.")] = False,
) -> None:
    """Send messages again under their old ids."""
    if bool(message) == dead:
        raise BadArgument("which_message", "Nothing says what to send.", hint="Name messages, or give --dead.")
    with there.registry() as registry:
        chosen = message or [d["message"] for d in registry.deliveries(webhook, state="dead", limit=500)]
        for one in chosen:
            registry.resend(webhook, one)
    note(f"{len(chosen)} will be sent again.")


@app.command()
def verify(
    body: Annotated[Path, typer.Argument(metavar="BODY", help="The exact bytes received.")],
    header: Annotated[list[str], typer.Option("--header", help="NAME: VALUE; the three webhook- headers.")],
    secret_file: Annotated[Path, typer.Option("--secret-file", help="A file that holds the secret.")],
    any_age: Annotated[bool, typer.Option("--any-age", help="Also accept an old message.")] = False,
) -> None:
    """Check the signature of a message that was received; print what it says."""
    from headway.contract.webhooks import TOLERANCE_S, verify_webhook

    headers = {name.strip(): value.strip() for name, _, value in (text.partition(":") for text in header)}
    secret = read_file(secret_file).decode("ascii", "replace").strip()
    tolerance_s = sys.maxsize if any_age else TOLERANCE_S
    event = verify_webhook(secret, headers, read_file(body), now=time.time(), tolerance_s=tolerance_s)
    print_json({"schema": 1, "message": event.message, "type": event.type, "timestamp": event.at, "data": event.data})


def _fate(delivery: dict[str, Any]) -> str:
    return str(delivery["error"] or delivery["status"] or "-")
