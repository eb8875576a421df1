"""``headway heads label`` and ``headway bases label``: free marks on one release, with all they ever were."""

from __future__ import annotations

from typing import Annotated

import typer

from headway.cli.arguments import BadArgument
from headway.cli.marks import At, Expect, expected, need_release, shown_thing, thing_of
from headway.cli.moments import moment, shown
from headway.cli.options import AsJson, Note, Release, There, reaching
from headway.cli.output import note, print_json, print_table


def make_label_app(kind: str) -> typer.Typer:
    """The commands of ``label`` for heads or bases."""
    extras = () if kind == "base" else ("base_id",)
    app = typer.Typer(help="Free KEY=VALUE marks on one release, with their history.", no_args_is_help=True)

    @app.command("set")
    @reaching(*extras)
    def set_label(
        there: There,
        reference: Release,
        mark: Annotated[str, typer.Argument(metavar="KEY=VALUE", help="The label; KEY= removes it.")],
        expect: Expect = None,
        why: Note = "",
    ) -> None:
        """Set or remove a label of a release."""
        key, equals, value = mark.partition("=")
        if not equals:
            raise BadArgument("bad_label", f"{mark!r} is no label.", hint="Write KEY=VALUE, or KEY= to remove it.")
        with there.registry() as registry:
            thing = thing_of(kind, there, registry, reference)
            release = need_release(thing, reference)
            new = registry.set_label(
                thing.base_id, thing.name, release, key, value or None, note=why, **expected(expect)
            )
        note(f"{reference} {'now has' if new else 'already had'} {key}={value}.")

    @app.command("list")
    @reaching(*extras)
    def list_labels(
        there: There,
        reference: Annotated[str | None, typer.Argument(metavar="NAME[@RELEASE]", help="Only of this.")] = None,
        at: At = None,
        as_json: AsJson = False,
    ) -> None:
        """List labels as they are, or as they were."""
        name, _, release = (reference or "").partition("@")
        wanted = {"base_id": name or None} if kind == "base" else {"base_id": there.asked_base, "name": name or None}
        with there.registry() as registry:
            found = registry.labels(**wanted, release=release or None, at=None if at is None else moment(at))
        found = [mark for mark in found if (mark["name"] is None) == (kind == "base")]
        if as_json:
            print_json({"schema": 1, "labels": found})
            return
        rows = [(f"{shown_thing(m)}@{m['release']}", m["key"], m["value"], shown(m["at"]), m["actor"]) for m in found]
        print_table(rows, (kind, "label", "value", "since", "by"))

    @app.command("history")
    @reaching(*extras)
    def label_history(
        there: There,
        reference: Release,
        key: Annotated[str, typer.Argument(help="The label's key.")],
        as_json: AsJson = False,
    ) -> None:
        """Everything that a label of a release ever was, oldest first."""
        with there.registry() as registry:
            thing = thing_of(kind, there, registry, reference)
            changes = registry.label_history(thing.base_id, thing.name, need_release(thing, reference), key)
        if as_json:
            print_json({"schema": 1, "history": changes})
            return
        rows = [(shown(m["at"]), m["value"] or "-", m["actor"], m["note"]) for m in changes]
        print_table(rows, ("at", "value", "by", "why"))

    return app
