"""What the commands for aliases and labels share: how NAME[@RELEASE] is understood, for heads and for bases.

An alias or a label changes nothing on any device: what devices get is ``headway channels``.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any

import typer

from headway.cli.arguments import BadArgument
from headway.cli.options import There

if TYPE_CHECKING:
    from headway.publisher.registry import Registry

At = Annotated[str | None, typer.Option("--at", help="As it was on that day or at that time (UTC).")]
Expect = Annotated[
    str | None, typer.Option("--expect", help="Change it only if this stands there now; '' says that nothing does.")
]


@dataclass(frozen=True, slots=True)
class Thing:
    """A head (``name``) or a base that a command is about, and the release where one was written."""

    base_id: str
    name: str | None
    release: str


def thing_of(kind: str, there: There, registry: Registry, text: str) -> Thing:
    """NAME or NAME@RELEASE: the name of a head, or the id of a base."""
    name, _, release = text.partition("@")
    return Thing(name, None, release) if kind == "base" else Thing(there.base_id(registry), name, release)


def need_release(thing: Thing, text: str) -> str:
    """The release that was written; raises ``malformed_reference``."""
    if thing.release:
        return thing.release
    raise BadArgument(
        "malformed_reference", f"{text!r} does not name one release.", hint="Write NAME@RELEASE, for example topic@17."
    )


def expected(expect: str | None) -> dict[str, Any]:
    """``--expect`` as arguments of the client; an empty text says that nothing stands there."""
    return {} if expect is None else {"expect": expect or None}


def shown_thing(mark: Mapping[str, Any]) -> str:
    """The head or base that a mark is on."""
    return str(mark["name"] or mark["base_id"])
