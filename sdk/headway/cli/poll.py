"""``headway poll``: one poll of a registry as a device does it, with a real app bundle and a real store."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from headway.cli.options import AsJson
from headway.cli.output import note, print_json, print_table
from headway.contract.errors import (
    DeviceStoreError,
    HeadwayError,
    IncompatibleError,
    RefusedError,
    TransferError,
    UntrustedError,
)

app = typer.Typer(help="Poll a registry once, as a device would.")

NOTHING_NEW = 10

# A problem goes out with the exit code of the error it was: 3 for what cannot be trusted, 7 for what may be retried.
_FAMILIES: dict[str, type[HeadwayError]] = {
    error.family: error for error in (UntrustedError, IncompatibleError, TransferError, DeviceStoreError)
}


@app.command()
def poll(
    bundle: Annotated[Path, typer.Option("--bundle", exists=True, file_okay=False, help="An app bundle folder.")],
    store: Annotated[Path, typer.Option("--store", help="The device's private folder; made if it is not there.")],
    url: Annotated[
        str | None, typer.Option("--url", help="The registry's address.", show_default="where the bundle says")
    ] = None,
    exit_code: Annotated[bool, typer.Option("--exit-code", help="Exit 10 when there is nothing new.")] = False,
    as_json: AsJson = False,
) -> None:
    """Refresh signed metadata, decide, download and verify what was chosen, and stage it."""
    from headway.device.bundle import AppBundle
    from headway.device.client import Device
    from headway.device.files import RealFileSystem

    store.mkdir(parents=True, exist_ok=True)
    app_bundle = AppBundle.load(bundle)
    device = Device(app_bundle if url is None else app_bundle.following(url), RealFileSystem(store))
    launched = device.launch()
    if launched.problem is not None:
        note(f"{launched.status}: {launched.problem.message}")
    try:
        result = device.poll(force=True)
    finally:
        device.close()
    if as_json:
        print_json({"schema": 1, **asdict(result)})
    elif result.heads:
        rows = [(h.name, h.status, h.release or "-", ", ".join(h.reasons) or "-") for h in result.heads]
        print_table(rows, ("head", "result", "release", "why not newer"))
        note(f"{result.requests} requests, {result.received_bytes} bytes of metadata")
    if result.problem is not None:
        family = _FAMILIES.get(result.problem.family, RefusedError)
        raise family(result.problem.code, result.problem.message, hint=result.problem.hint)
    if exit_code and not any(head.status == "staged" for head in result.heads):
        raise typer.Exit(NOTHING_NEW)
