"""``headway heads alias|label`` and ``headway bases alias|label``: names for releases, with everything they ever were.

An alias or a label changes nothing on any device: what devices get is ``headway channels``.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any

import typer

from headway.cli.moments import moment, shown
from headway.cli.output import note, print_json, print_table
from headway.cli.registry import App, AsJson, BaseId, Token, Url, connect, effective, only_base_id
from headway.contract.errors import RefusedError

if TYPE_CHECKING:
    from headway.publisher.registry import Registry

At = Annotated[str | None, typer.Option("--at", help="As it was on that day or at that time (UTC).")]
Expect = Annotated[
    str | None, typer.Option("--expect", help="Change it only if this stands there now; '' says that nothing does.")
]
Note = Annotated[str, typer.Option("--note", help="Why, for its history.")]


@dataclass(frozen=True, slots=True)
class _Thing:
    """A head (``name``) or a base that a command is about, and the release where one was written."""

    base_id: str
    name: str | None
    release: str


def _reader(kind: str) -> Callable[[Registry, str, str | None], _Thing]:
    """How NAME or NAME@RELEASE is understood: the name of a head, or the id of a base."""

    def read(registry: Registry, text: str, base_id: str | None) -> _Thing:
        name, _, release = text.partition("@")
        if kind == "base":
            return _Thing(name, None, release)
        return _Thing(only_base_id(registry, base_id), name, release)

    return read


def _need_release(thing: _Thing, text: str) -> str:
    if thing.release:
        return thing.release
    raise RefusedError(
        "malformed_reference", f"{text!r} does not name one release.", hint="Write NAME@RELEASE, for example topic@17."
    )


def _expected(expect: str | None) -> dict[str, Any]:
    return {} if expect is None else {"expect": expect or None}


def make_alias_app(kind: str) -> typer.Typer:
    """The commands of ``alias`` for heads or bases."""
    read = _reader(kind)
    app = typer.Typer(help="Names that point to a release, with their history.", no_args_is_help=True)

    @app.command("set")
    def set_alias(
        reference: Annotated[str, typer.Argument(metavar="NAME@RELEASE", help="The release.")],
        alias: Annotated[str, typer.Argument(help="The alias, for example stable.")],
        expect: Expect = None,
        why: Note = "",
        base_id: BaseId = None,
        url: Url = None,
        token: Token = None,
        app_name: App = None,
    ) -> None:
        """Point an alias to a release."""
        with connect(effective(url=url, token=token, app=app_name)) as registry:
            thing = read(registry, reference, base_id)
            release = _need_release(thing, reference)
            new = registry.set_alias(thing.base_id, thing.name, alias, release, note=why, **_expected(expect))
        note(f"{alias} {'points' if new else 'already pointed'} to {reference}.")

    @app.command("remove")
    def remove_alias(
        name: Annotated[str, typer.Argument(metavar="NAME", help="Of what.")],
        alias: Annotated[str, typer.Argument(help="The alias.")],
        expect: Expect = None,
        why: Note = "",
        base_id: BaseId = None,
        url: Url = None,
        token: Token = None,
        app_name: App = None,
    ) -> None:
        """Let an alias point to nothing; its history stays."""
        with connect(effective(url=url, token=token, app=app_name)) as registry:
            thing = read(registry, name, base_id)
            new = registry.set_alias(thing.base_id, thing.name, alias, None, note=why, **_expected(expect))
        note(f"{alias} {'points' if new else 'already pointed'} to nothing.")

    @app.command("show")
    def show_alias(
        name: Annotated[str, typer.Argument(metavar="NAME", help="Of what.")],
        alias: Annotated[str, typer.Argument(help="The alias.")],
        at: At = None,
        base_id: BaseId = None,
        url: Url = None,
        token: Token = None,
        app_name: App = None,
        as_json: AsJson = False,
    ) -> None:
        """Print the release that an alias points to, or pointed to; exit 5 if to none."""
        with connect(effective(url=url, token=token, app=app_name)) as registry:
            thing = read(registry, name, base_id)
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
    def list_aliases(
        name: Annotated[str | None, typer.Argument(metavar="NAME", help="Only of this.")] = None,
        at: At = None,
        base_id: BaseId = None,
        url: Url = None,
        token: Token = None,
        app_name: App = None,
        as_json: AsJson = False,
    ) -> None:
        """List aliases as they are, or as they were."""
        wanted = {"base_id": name} if kind == "base" else {"base_id": base_id, "name": name}
        with connect(effective(url=url, token=token, app=app_name)) as registry:
            found = registry.aliases(**wanted, at=None if at is None else moment(at))
        found = [mark for mark in found if (mark["name"] is None) == (kind == "base")]
        if as_json:
            print_json({"schema": 1, "aliases": found})
            return
        rows = [(_thing(m), m["alias"], m["release"], shown(m["at"]), m["actor"], m["note"]) for m in found]
        print_table(rows, (kind, "alias", "release", "since", "by", "why"))

    @app.command("history")
    def alias_history(
        name: Annotated[str, typer.Argument(metavar="NAME", help="Of what.")],
        alias: Annotated[str, typer.Argument(help="The alias.")],
        base_id: BaseId = None,
        url: Url = None,
        token: Token = None,
        app_name: App = None,
        as_json: AsJson = False,
    ) -> None:
        """Everything that an alias ever pointed to, oldest first."""
        with connect(effective(url=url, token=token, app=app_name)) as registry:
            thing = read(registry, name, base_id)
            changes = registry.alias_history(thing.base_id, thing.name, alias)
        if as_json:
            print_json({"schema": 1, "history": changes})
            return
        rows = [(shown(m["at"]), m["release"] or "-", m["actor"], m["note"]) for m in changes]
        print_table(rows, ("at", "release", "by", "why"))

    return app


def make_label_app(kind: str) -> typer.Typer:
    """The commands of ``label`` for heads or bases."""
    read = _reader(kind)
    app = typer.Typer(help="Free KEY=VALUE marks on one release, with their history.", no_args_is_help=True)

    @app.command("set")
    def set_label(
        reference: Annotated[str, typer.Argument(metavar="NAME@RELEASE", help="The release.")],
        mark: Annotated[str, typer.Argument(metavar="KEY=VALUE", help="The label; KEY= removes it.")],
        expect: Expect = None,
        why: Note = "",
        base_id: BaseId = None,
        url: Url = None,
        token: Token = None,
        app_name: App = None,
    ) -> None:
        """Set or remove a label of a release."""
        key, equals, value = mark.partition("=")
        if not equals:
            raise RefusedError("bad_label", f"{mark!r} is no label.", hint="Write KEY=VALUE, or KEY= to remove it.")
        with connect(effective(url=url, token=token, app=app_name)) as registry:
            thing = read(registry, reference, base_id)
            release = _need_release(thing, reference)
            new = registry.set_label(
                thing.base_id, thing.name, release, key, value or None, note=why, **_expected(expect)
            )
        note(f"{reference} {'now has' if new else 'already had'} {key}={value}.")

    @app.command("list")
    def list_labels(
        reference: Annotated[str | None, typer.Argument(metavar="NAME[@RELEASE]", help="Only of this.")] = None,
        at: At = None,
        base_id: BaseId = None,
        url: Url = None,
        token: Token = None,
        app_name: App = None,
        as_json: AsJson = False,
    ) -> None:
        """List labels as they are, or as they were."""
        name, _, release = (reference or "").partition("@")
        wanted = {"base_id": name or None} if kind == "base" else {"base_id": base_id, "name": name or None}
        with connect(effective(url=url, token=token, app=app_name)) as registry:
            found = registry.labels(**wanted, release=release or None, at=None if at is None else moment(at))
        found = [mark for mark in found if (mark["name"] is None) == (kind == "base")]
        if as_json:
            print_json({"schema": 1, "labels": found})
            return
        rows = [(f"{_thing(m)}@{m['release']}", m["key"], m["value"], shown(m["at"]), m["actor"]) for m in found]
        print_table(rows, (kind, "label", "value", "since", "by"))

    @app.command("history")
    def label_history(
        reference: Annotated[str, typer.Argument(metavar="NAME@RELEASE", help="The release.")],
        key: Annotated[str, typer.Argument(help="The label's key.")],
        base_id: BaseId = None,
        url: Url = None,
        token: Token = None,
        app_name: App = None,
        as_json: AsJson = False,
    ) -> None:
        """Everything that a label of a release ever was, oldest first."""
        with connect(effective(url=url, token=token, app=app_name)) as registry:
            thing = read(registry, reference, base_id)
            changes = registry.label_history(thing.base_id, thing.name, _need_release(thing, reference), key)
        if as_json:
            print_json({"schema": 1, "history": changes})
            return
        rows = [(shown(m["at"]), m["value"] or "-", m["actor"], m["note"]) for m in changes]
        print_table(rows, ("at", "value", "by", "why"))

    return app


def _thing(mark: dict[str, Any]) -> str:
    return str(mark["name"] or mark["base_id"])
