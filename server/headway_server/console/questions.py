"""The pages that answer a release manager's questions: find, names and their history, what if, why not, who is told.

Each reads, by a form sent with GET: an address can be kept and shown to somebody else.
"""

from __future__ import annotations

from flask import Blueprint, g, render_template, request

from headway.contract.errors import RefusedError
from headway_server.catalog import lineage
from headway_server.catalog.search import SEARCH_STATES, place_of, search
from headway_server.console import impact_view, names, webhook_view, whynot
from headway_server.console.frame import Page, may, not_found, ports
from headway_server.repositories_marks import SearchQuery

_PER_PAGE = 50


def install(console: Blueprint) -> None:
    """Add these pages to the console."""
    for path, view in (
        ("releases", releases_page),
        ("names", names_page),
        ("impact", impact_page),
        ("explain", explain_page),
        ("webhooks", webhooks_page),
    ):
        console.add_url_rule(f"/<app>/{path}", view_func=view)


def releases_page(app: str) -> Page:
    """Find releases by name, state, alias and label, page by page."""
    if not may(app):
        return not_found()
    asked = {key: _given(key) for key in ("name", "state", "alias", "label", "after")}
    try:
        found, following = search(ports(), _query(app, asked))
    except RefusedError:
        return not_found()
    states = [(state, state) for state in SEARCH_STATES]
    return render_template(
        "console/releases.html", app=app, found=found, following=following, asked=asked, states=states
    )


def names_page(app: str) -> Page:
    """Aliases and labels as they stand, or stood on a day, each with everything it ever was."""
    if not may(app):
        return not_found()
    return render_template("console/names.html", app=app, view=names.of_app(ports(), app, _given("at")))


def impact_page(app: str) -> Page:
    """What shipping a base would mean for heads and devices."""
    if not may(app):
        return not_found()
    view = impact_view.of_base(ports(), app, _given("base"), g.language)
    return render_template("console/impact.html", app=app, view=view)


def explain_page(app: str) -> Page:
    """What a device of some profile would hold, and every reason against the rest."""
    if not may(app):
        return not_found()
    view = whynot.asked(ports(), app, request.args.to_dict(), g.language)
    return render_template("console/explain.html", app=app, view=view, bases=lineage.bases(ports(), app)[::-1])


def webhooks_page(app: str) -> Page:
    """Where events are sent and what became of them; for administrators, and never a secret."""
    if not may(app, "admin"):
        return not_found()
    return render_template("console/webhooks.html", app=app, hooks=webhook_view.of_app(ports(), app))


def _given(key: str) -> str:
    return request.args.get(key, "").strip()[:400]


def _query(app: str, asked: dict[str, str]) -> SearchQuery:
    key, equals, value = asked["label"].partition("=")
    return SearchQuery(
        app=app,
        name=asked["name"] or None,
        state=asked["state"] if asked["state"] in SEARCH_STATES else None,
        alias=asked["alias"] or None,
        label=(key, value if equals else None) if key else None,
        after=place_of(asked["after"]) if asked["after"] else None,
        limit=_PER_PAGE,
    )
