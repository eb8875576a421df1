"""What commands that talk to a registry share: their options, the client, and how results are shown."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from headway.cli import settings
from headway.cli.output import Progress, note
from headway.contract.errors import RefusedError
from headway.contract.versions import ReleaseReference, parse_reference

if TYPE_CHECKING:
    from headway.publisher.publish import Published
    from headway.publisher.registry import Registry
    from headway.trust.keys import KeyFolder

Url = Annotated[str | None, typer.Option("--url", help="The registry's address.", show_default="setting url")]
Token = Annotated[str | None, typer.Option("--token", help="A publisher token; better set HEADWAY_TOKEN.")]
App = Annotated[str | None, typer.Option("--app", help="The app's name.", show_default="setting app")]
Keys = Annotated[Path | None, typer.Option("--keys", help="Folder of signing keys.", show_default="setting keys")]
Channel = Annotated[str | None, typer.Option("--channel", help="The channel.", show_default="setting channel")]
BaseId = Annotated[str | None, typer.Option("--base-id", help="Which base; not needed while there is only one.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON.")]


def effective(**flags: str | Path | None) -> settings.Settings:
    """The settings with these flags on top."""
    return settings.load({name: None if value is None else str(value) for name, value in flags.items()})


def connect(chosen: settings.Settings) -> Registry:
    """A client of the registry that the settings name."""
    from headway.publisher.registry import Registry

    return Registry(chosen.need("url"), chosen.need("token"), app=chosen.need("app"))


def key_folder(chosen: settings.Settings) -> KeyFolder:
    """The folder of signing keys that the settings name."""
    from headway.trust.keys import KeyFolder

    return KeyFolder(Path(chosen.need("keys")))


def read_file(path: Path) -> bytes:
    """The bytes of a file that the user named.

    Raises:
        RefusedError: code ``no_such_file``.
    """
    try:
        return path.read_bytes()
    except OSError as error:
        raise RefusedError(
            "no_such_file",
            f"Cannot read {path} ({error.strerror}).",
            hint="Check the path.",
            kind="not_found",
        ) from error


def write_file(path: Path, data: bytes) -> None:
    """Write a file that the user asked for.

    Raises:
        RefusedError: code ``cannot_write``.
    """
    try:
        path.write_bytes(data)
    except OSError as error:
        raise RefusedError(
            "cannot_write", f"Cannot write {path} ({error.strerror}).", hint="Check the folder and its permissions."
        ) from error


def release_of(reference: str) -> ReleaseReference:
    """``topic@17`` as a release.

    Raises:
        RefusedError: code ``malformed_reference``; also for a channel or a digest.
    """
    parsed = parse_reference(reference)
    if isinstance(parsed, ReleaseReference):
        return parsed
    raise RefusedError(
        "malformed_reference",
        f"{reference!r} does not name one release.",
        hint="Write NAME@RELEASE, for example topic@17.",
    )


def only_base_id(registry: Registry, base_id: str | None) -> str:
    """``base_id``, or the registry's only one.

    Raises:
        RefusedError: code ``which_base``.
    """
    if base_id is not None:
        return base_id
    known = sorted({str(record["base_id"]) for record in registry.bases()})
    if len(known) == 1:
        return known[0]
    raise RefusedError(
        "which_base",
        f"The app has {len(known)} bases.",
        hint=f"Give --base-id: {', '.join(known)}." if known else "Publish a base first: headway bases publish.",
    )


def published_json(done: Published) -> dict[str, Any]:
    """A publish as JSON."""
    return {
        "schema": 1,
        "kind": done.kind,
        "name": done.name,
        "version": done.version,
        "manifest": done.manifest,
        "new": done.new,
        "dry_run": done.dry_run,
        "uploaded": list(done.uploaded),
        "uploaded_bytes": done.uploaded_bytes,
        "role_version": done.role_version,
        "warnings": list(done.warnings),
    }


def say_published(done: Published) -> None:
    """A publish in words, on standard error; what it warns of too."""
    what = f"{done.name}@{done.version}"
    if done.dry_run:
        note(f"Would publish {what}: {len(done.uploaded)} files, {done.uploaded_bytes} bytes to send.")
    elif done.new:
        note(f"Published {what}: {len(done.uploaded)} files, {done.uploaded_bytes} bytes sent.")
    else:
        note(f"{what} was already published; nothing was changed.")
    for warning in done.warnings:
        note(f"Note: {warning}")


class UploadProgress:
    """Shows what a publish is doing."""

    def __init__(self) -> None:
        self._bar: Progress | None = None

    def __call__(self, what: str, done: int, total: int) -> None:
        """One step; sizes in bytes are shown in kilobytes."""
        if total < 1024:
            note(what)
            return
        self._bar = self._bar or Progress("upload kB", total // 1000)
        self._bar.update(done // 1000, what)
