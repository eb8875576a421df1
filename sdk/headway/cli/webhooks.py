"""``headway webhooks``: who is told when a release is published, rolled out, halted or recalled."""

from __future__ import annotations

import sys
import time
from pathlib import Path
from typing import Annotated, Any

import typer

from headway.cli.moments import shown
from headway.cli.output import note, print_json, print_table
from headway.cli.registry import App, AsJson, Token, Url, connect, effective, read_file
from headway.contract.errors import RefusedError, TransferError

app = typer.Typer(help="Tell other programs what happens to an app.", no_args_is_help=True, add_completion=False)

Webhook = Annotated[str, typer.Argument(help="A webhook's id; see `headway webhooks list`.")]
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
def add(
    target: Annotated[str, typer.Argument(metavar="URL", help="Where to send: an https address.")],
    event: Annotated[list[str] | None, typer.Option(help="An event; may be repeated.", show_default="all")] = None,
    why: Annotated[str, typer.Option("--note", help="What it is for.")] = "",
    url: Url = None,
    token: Token = None,
    app_name: App = None,
    as_json: AsJson = False,
) -> None:
    """Add a webhook and print its secret: this is the only time it can be seen."""
    from headway.contract.webhooks import EVENTS

    with connect(effective(url=url, token=token, app=app_name)) as registry:
        made = registry.add_webhook(target, event or list(EVENTS), note=why)
    if as_json:
        print_json({"schema": 1, **made})
        return
    note(f"Added webhook {made['id']}. Its secret, shown this once:")
    typer.echo(made["secret"])


@app.command("list")
def list_webhooks(url: Url = None, token: Token = None, app_name: App = None, as_json: AsJson = False) -> None:
    """List the webhooks of the app."""
    with connect(effective(url=url, token=token, app=app_name)) as registry:
        found = registry.webhooks()
    if as_json:
        print_json({"schema": 1, "webhooks": found})
        return
    rows = [(w["id"], w["url"], ",".join(w["events"]), shown(w["created_at"]), w["note"]) for w in found]
    print_table(rows, ("id", "url", "events", "added", "note"))


@app.command()
def remove(webhook: Webhook, url: Url = None, token: Token = None, app_name: App = None) -> None:
    """Remove a webhook and everything still to be sent to it."""
    with connect(effective(url=url, token=token, app=app_name)) as registry:
        registry.remove_webhook(webhook)
    note(f"Removed {webhook}.")


@app.command("rotate-secret")
def rotate_secret(webhook: Webhook, url: Url = None, token: Token = None, app_name: App = None) -> None:
    """Make a new secret and print it, this once; the old one signs beside it for another day."""
    with connect(effective(url=url, token=token, app=app_name)) as registry:
        typer.echo(registry.rotate_webhook(webhook))


@app.command()
def ping(
    webhook: Webhook,
    wait: Annotated[float, typer.Option(min=0, help="Seconds to wait for its fate.")] = 30.0,
    url: Url = None,
    token: Token = None,
    app_name: App = None,
    as_json: AsJson = False,
) -> None:
    """Send a test message and say whether it arrived; exit 7 if it did not in time."""
    deadline = time.monotonic() + wait
    with connect(effective(url=url, token=token, app=app_name)) as registry:
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
def deliveries(
    webhook: Webhook,
    state: Annotated[str | None, typer.Option(help="Only pending, delivered or dead ones.")] = None,
    limit: Annotated[int, typer.Option(min=1, max=500, help="At most so many.")] = 50,
    url: Url = None,
    token: Token = None,
    app_name: App = None,
    as_json: AsJson = False,
) -> None:
    """List what was sent and what is still to be, newest first."""
    with connect(effective(url=url, token=token, app=app_name)) as registry:
        found = registry.deliveries(webhook, state=state, limit=limit)
    if as_json:
        print_json({"schema": 1, "deliveries": found})
        return
    rows = [(d["message"], d["event"], d["state"], d["attempts"], shown(d["created_at"]), _fate(d)) for d in found]
    print_table(rows, ("message", "event", "state", "attempts", "happened", "last answer"))


@app.command()
def resend(
    webhook: Webhook,
    message: Annotated[list[str] | None, typer.Argument(help="Messages; see `headway webhooks deliveries`.")] = None,
    dead: Annotated[bool, typer.Option("--dead", help="All that are dead, at most 500.")] = False,
    url: Url = None,
    token: Token = None,
    app_name: App = None,
) -> None:
    """Send messages again under their old ids."""
    if bool(message) == dead:
        raise RefusedError("which_message", "Nothing says what to send.", hint="Name messages, or give --dead.")
    with connect(effective(url=url, token=token, app=app_name)) as registry:
        chosen = message or [d["message"] for d in registry.deliveries(webhook, state="dead", limit=500)]
        for one in chosen:
            registry.resend(webhook, one)
    note(f"{len(chosen)} will be sent again.")


@app.command()
def verify(
    body: Annotated[Path, typer.Argument(help="The exact bytes received.")],
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
