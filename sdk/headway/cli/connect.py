"""What every command that talks to a registry shares: its options, and the connection they make."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from headway.cli import settings
from headway.cli.output import Progress
from headway.contract.errors import RefusedError
from headway.contract.versions import ReleaseReference, parse_reference

if TYPE_CHECKING:
    from headway.publisher.registry import Registry
    from headway.trust.keys import Signer

Url = Annotated[str | None, typer.Option("--url", help="The registry's address.")]
Token = Annotated[str | None, typer.Option("--token", help="A publisher token; better given as HEADWAY_TOKEN.")]
App = Annotated[str | None, typer.Option("--app", help="The app.")]
Keys = Annotated[str | None, typer.Option("--keys", help="Folder of the publisher's signing keys.")]
Channel = Annotated[str | None, typer.Option("--channel", help="The channel.")]
BaseId = Annotated[str, typer.Option("--base-id", help="The base that the devices have, by id.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON.")]


def effective(
    *,
    url: str | None = None,
    token: str | None = None,
    app: str | None = None,
    keys: str | None = None,
    channel: str | None = None,
) -> settings.Settings:
    """The settings with these flags on top."""
    return settings.load({"url": url, "token": token, "app": app, "keys": keys, "channel": channel})


def registry(chosen: settings.Settings) -> Registry:
    """A connection to the chosen registry; use it as a context manager."""
    from headway.publisher.registry import Registry

    return Registry(chosen.need("url"), chosen.need("token"), app=chosen.need("app"))


def signers(chosen: settings.Settings) -> tuple[Signer, ...]:
    """Every key in the key folder; publishing picks those that the role asks for."""
    from headway.trust.keys import KeyFolder

    found = KeyFolder(Path(chosen.need("keys"))).all()
    if not found:
        raise RefusedError(
            "no_keys",
            f"There is no signing key in {chosen.need('keys')}.",
            hint="Create the app's keys with `headway keys create`, or name their folder with --keys.",
            kind="not_found",
        )
    return found


def release_of(reference: str) -> ReleaseReference:
    """``topic@17``; other references do not name one release.

    Raises:
        RefusedError: code ``malformed_reference`` or ``not_a_release``.
    """
    parsed = parse_reference(reference)
    if isinstance(parsed, ReleaseReference):
        return parsed
    raise RefusedError(
        "not_a_release",
        f"{reference!r} does not name one release.",
        hint="Write NAME@RELEASE, for example topic@17.",
    )


def progress_of(label: str) -> Callable[[str, int, int], None]:
    """Progress of a publish on standard error: a new line for each thing being done."""
    shown: dict[str, Progress] = {}

    def report(what: str, done: int, total: int) -> None:
        shown.setdefault(what, Progress(f"{label}: {what}", total or None, every_s=2.0)).update(done)

    return report
