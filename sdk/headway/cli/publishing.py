"""How a publish is told: what is being sent, and what came of it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from headway.cli.output import Progress, note

if TYPE_CHECKING:
    from headway.publisher.publish import Published


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
    """Shows what a publish is doing: a line for each step, and one renewing line for the bytes on their way."""

    def __init__(self) -> None:
        self._bar: Progress | None = None

    def __call__(self, what: str, done: int, total: int) -> None:
        """One step; ``total`` below a kilobyte counts steps, else bytes."""
        if total < 1024:
            note(f"{what[:1].upper()}{what[1:]} …")
            return
        self._bar = self._bar or Progress("Uploading", total // 1000, unit="kB")
        self._bar.update(done // 1000, what.removeprefix("uploading "))
