"""``headway heads alias`` and ``headway bases alias``: names that point to a release, with all they ever pointed to."""

from __future__ import annotations

from typing import Annotated

import typer

from headway.cli.marks import At, Expect, expected, need_release, shown_thing, thing_of
from headway.cli.moments import moment, shown
from headway.cli.options import AsJson, Note, Release, There, reaching
from headway.cli.output import note, print_json, print_table
from headway.contract.errors import RefusedError


def make_alias_app(kind: str) -> typer.Typer:
    """The commands of ``alias`` for heads or bases."""
    extras = () if kind == "base" else ("base_id",)
    app = typer.Typer(help="Names that point to a release, with their history.", no_args_is_help=True)

    @app.command("set")
    @reaching(*extras)
    def set_alias(
        there: There,
        reference: Release,
        alias: Annotated[str, typer.Argument(help="The alias, for example stable.")],
        expect: Expect = None,
        why: Note = "",
    ) -> None:
        """Point an alias to a release."""
        with there.registry() as registry:
            thing = thing_of(kind, there, registry, reference)
            release = need_release(thing, reference)
            new = registry.set_alias(thing.base_id, thing.name, alias, release, note=why, **expected(expect))
        note(f"{alias} {'points' if new else 'already pointed'} to {reference}.")

    @app.command("remove")
    @reaching(*extras)
    def remove_alias(
        there: There,
        name: Annotated[str, typer.Argument(metavar="NAME", help="Of what.")],
        alias: Annotated[str, typer.Argument(help="The alias.")],
        expect: Expect = None,
        why: Note = "",
    ) -> None:
        """Let an alias point to nothing; its history stays."""
        with there.registry() as registry:
            thing = thing_of(kind, there, registry, name)
            new = registry.set_alias(thing.base_id, thing.name, alias, None, note=why, **expected(expect))
        note(f"{alias} {'points' if new else 'already pointed'} to nothing.")

    @app.command("show")
    @reaching(*extras)
    def show_alias(
        there: There,
        name: Annotated[str, typer.Argument(metavar="NAME", help="Of what.")],
        alias: Annotated[str, typer.Argument(help="The alias.")],
        at: At = None,
        as_json: AsJson = False,
    ) -> None:
        """Print the release that an alias points to, or pointed to; exit 5 if to none."""
        with there.registry() as registry:
            thing = thing_of(kind, there, registry, name)
            found = registry.aliases(
                base_id=thing.base_id, name=thing.name, alias=alias, at=None if at is None else moment(at)
            )
        found = [mark for mark in found if mark["name"] == thing.name]
        if not found:
            raise RefusedError(
                "no_such_alias",
                f"{name} had no {alias} then." if at else f"{name} has no {alias}.",
                hint=f"See its history: headway {kind}s alias history {name} {alias}.",
                kind="not_found",
            )
        if as_json:
            print_json({"schema": 1, **found[0]})
        else:
            typer.echo(f"{name}@{found[0]['release']}")

    @app.command("list")
    @reaching(*extras)
    def list_aliases(
        there: There,
        name: Annotated[str | None, typer.Argument(metavar="NAME", help="Only of this.")] = None,
        at: At = None,
        as_json: AsJson = False,
    ) -> None:
        """List aliases as they are, or as they were."""
        wanted = {"base_id": name} if kind == "base" else {"base_id": there.asked_base, "name": name}
        with there.registry() as registry:
            found = registry.aliases(**wanted, at=None if at is None else moment(at))
        found = [mark for mark in found if (mark["name"] is None) == (kind == "base")]
        if as_json:
            print_json({"schema": 1, "aliases": found})
            return
        rows = [(shown_thing(m), m["alias"], m["release"], shown(m["at"]), m["actor"], m["note"]) for m in found]
        print_table(rows, (kind, "alias", "release", "since", "by", "why"))

    @app.command("history")
    @reaching(*extras)
    def alias_history(
        there: There,
        name: Annotated[str, typer.Argument(metavar="NAME", help="Of what.")],
        alias: Annotated[str, typer.Argument(help="The alias.")],
        as_json: AsJson = False,
    ) -> None:
        """Everything that an alias ever pointed to, oldest first."""
        with there.registry() as registry:
            thing = thing_of(kind, there, registry, name)
            changes = registry.alias_history(thing.base_id, thing.name, alias)
        if as_json:
            print_json({"schema": 1, "history": changes})
            return
        rows = [(shown(m["at"]), m["release"] or "-", m["actor"], m["note"]) for m in changes]
        print_table(rows, ("at", "release", "by", "why"))

    return app
