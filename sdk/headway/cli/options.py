"""Options that many commands share, written once: the same name, help and meaning wherever they stand.

A command that works on an app of a registry is decorated with :func:`reaching` and gets a :class:`There`; the options
that say where the registry is, and any of :data:`EXTRAS`, are added to its own and shown in a panel of their own.
"""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Concatenate, ParamSpec, get_type_hints

import typer

from headway.cli import settings
from headway.cli.output import note
from headway.contract.errors import RefusedError

if TYPE_CHECKING:
    from headway.publisher.registry import Registry
    from headway.trust.keys import KeyFolder

P = ParamSpec("P")
PANEL = "Which registry and app"

AsJson = Annotated[bool, typer.Option("--json", help="Print JSON.")]
Release = Annotated[str, typer.Argument(metavar="NAME@RELEASE", help="The release, for example topic@17.")]
DryRun = Annotated[bool, typer.Option("--dry-run", help="Check everything, change nothing.")]
Note = Annotated[str, typer.Option("--note", help="What it is for, or why: kept beside it.")]
Limit = Annotated[int, typer.Option("--limit", min=1, help="At most so many.")]
Builder = Annotated[str, typer.Option("--builder", help="Who or what built it, for its provenance.")]
Out = Annotated[Path, typer.Option("--out", "-o", file_okay=False, help="Where registry, keys and report go.")]
Keep = Annotated[bool, typer.Option("--keep", help="Keep an earlier run: use the next free folder name.")]
Fixtures = Annotated[Path | None, typer.Option("--fixtures", help="The folder with base, heads and text.")]
Quiet = Annotated[bool, typer.Option("--quiet", "-q", help="No progress.")]


def _option(flag: str, said: str, kind: Any, default: str = "") -> Any:
    shown = default or False
    return Annotated[kind, typer.Option(flag, help=said, show_default=shown, rich_help_panel=PANEL)]


EXTRAS: dict[str, Any] = {
    "base_id": _option("--base-id", "Which base; not needed while there is only one.", str | None),
    "channel": _option("--channel", "The channel.", str | None, "setting channel"),
    "keys": _option("--keys", "Folder of signing keys.", Path | None, "setting keys"),
}
_ALWAYS: dict[str, Any] = {
    "app": _option("--app", "The app's name.", str | None, "setting app"),
    "url": _option("--url", "The registry's address.", str | None, "setting url"),
    "token": _option("--token", "A publisher token; better set HEADWAY_TOKEN.", str | None),
}


@dataclass(frozen=True, slots=True)
class There:
    """Where a command works: the effective settings, and the base that was asked for."""

    settings: settings.Settings
    asked_base: str | None = None

    @property
    def channel(self) -> str:
        """The channel; raises ``missing_setting``."""
        return self.settings.need("channel")

    @property
    def app(self) -> str:
        """The app; raises ``missing_setting``."""
        return self.settings.need("app")

    def registry(self, app: str | None = None) -> Registry:
        """A client for ``app``, or for the app that is set; raises ``missing_setting``, ``bad_url``, ``bad_token``."""
        from headway.publisher.http import tell_retries
        from headway.publisher.registry import Registry

        tell_retries(lambda why, wait_s: note(f"{why} Trying again in {wait_s:.1f} s."))
        return Registry(self.settings.need("url"), self.settings.need("token"), app=app or self.app)

    def keys(self) -> KeyFolder:
        """The folder of signing keys."""
        from headway.trust.keys import KeyFolder

        return KeyFolder(Path(self.settings.need("keys")))

    def base_id(self, registry: Registry) -> str:
        """The base that was asked for, or the registry's only one; raises ``which_base``."""
        if self.asked_base is not None:
            return self.asked_base
        known = sorted({str(record["base_id"]) for record in registry.bases()})
        if len(known) == 1:
            return known[0]
        raise RefusedError(
            "which_base",
            f"The app {registry.app} has {len(known) or 'no'} bases.",
            hint=f"Give --base-id: {', '.join(known)}." if known else "Publish a base first: headway bases publish.",
        )


def reaching(
    *extras: str, without: tuple[str, ...] = ()
) -> Callable[[Callable[Concatenate[There, P], None]], Callable[..., None]]:
    """Give a command its :class:`There` and the options for it: ``extras`` of :data:`EXTRAS`, then app, url, token.

    ``without`` leaves some of the last three out, where a command does not read them.
    """
    kinds = {name: EXTRAS[name] for name in extras} | {n: kind for n, kind in _ALWAYS.items() if n not in without}

    def decorate(command: Callable[Concatenate[There, P], None]) -> Callable[..., None]:
        call: Callable[..., None] = command
        hints = get_type_hints(command, include_extras=True)
        own = list(inspect.signature(command).parameters.values())[1:]
        added = [inspect.Parameter(n, inspect.Parameter.KEYWORD_ONLY, default=None, annotation=kinds[n]) for n in kinds]
        parameters = [*(one.replace(annotation=hints[one.name]) for one in own), *added]

        @functools.wraps(command)
        def run(**given: Any) -> None:
            flags = {name: given.pop(name) for name in kinds}
            base_id = flags.pop("base_id", None)
            chosen = settings.load({name: None if value is None else str(value) for name, value in flags.items()})
            call(There(chosen, base_id), **given)

        del run.__wrapped__  # its signature is not ours any more
        run.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
        run.__annotations__ = {one.name: one.annotation for one in parameters}
        return run

    return decorate
