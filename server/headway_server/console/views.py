"""The pages of what is published: apps, one app, a rollout, a base version, a head release.

``console`` is the blueprint with every page, those of :mod:`headway_server.console.questions` included.
"""

from __future__ import annotations

from urllib.parse import urlsplit

from flask import redirect, render_template, request, url_for

from headway.contract.digests import parse_digest
from headway.contract.errors import RefusedError
from headway_server.catalog import apps
from headway_server.catalog.reproving import Edge, rerun
from headway_server.console import lineage_svg, overview, questions
from headway_server.console import release as releases
from headway_server.console.frame import Page, console, kept_language, may, not_found, ports, visitor
from headway_server.delivery import reports
from headway_server.ports import Actor

__all__ = ["console"]

questions.install(console)


@console.get("/")
def index() -> Page:
    """The apps that this token may see."""
    token = visitor()
    listed = [record for record in apps.listed(ports()) if token.app in (None, record.app)]
    return render_template("console/index.html", apps=listed)


@console.get("/<app>")
def app_page(app: str) -> Page:
    """One app: channels, lineage, proofs, releases, outcomes, audit."""
    if not may(app):
        return not_found()
    view = overview.of_app(ports(), app)
    drawing = lineage_svg.draw(view.bases, view.heads, view.edges)
    return render_template("console/app.html", app=app, view=view, drawing=drawing)


@console.get("/<app>/rollouts/<rollout>")
def rollout_page(app: str, rollout: str) -> Page:
    """One rollout with every decision and what it rests on."""
    if not may(app):
        return not_found()
    try:
        item = reports.one(ports(), app, rollout)
    except RefusedError:
        return not_found()
    decisions = reports.decisions(ports(), app, rollout)[::-1]
    return render_template("console/rollout.html", app=app, item=item, decisions=decisions)


@console.get("/<app>/bases/<base_id>/<version>")
def base_page(app: str, base_id: str, version: str) -> Page:
    """One base version: its gate and what was waived."""
    view = releases.of_base(ports(), app, base_id, version) if may(app) else None
    return not_found() if view is None else render_template("console/release.html", app=app, view=view)


@console.get("/<app>/heads/<base_id>/<name>/<int:release>")
def head_page(app: str, base_id: str, name: str, release: int) -> Page:
    """One head release: its gate, what was waived, and every proof with its date."""
    view = releases.of_head(ports(), app, base_id, name, release) if may(app) else None
    if view is None:
        return not_found()
    allowed, busy = may(app, "publish"), "busy" in request.args
    return render_template("console/release.html", app=app, view=view, busy=busy, may_publish=allowed)


@console.post("/<app>/heads/<base_id>/<name>/<int:release>/prove")
def prove_again(app: str, base_id: str, name: str, release: int) -> Page:
    """Run a proof again, if the form came from this very page and the token may publish."""
    origin = urlsplit(request.headers.get("Origin", "")).netloc
    if origin != request.host or not may(app, "publish"):
        return not_found()
    actor = Actor(f"token:{visitor().id}", "console")
    page = {"app": app, "base_id": base_id, "name": name, "release": release, **kept_language()}
    try:
        edge = Edge(base_id, name, release, parse_digest(request.form.get("base", "")))
        rerun(ports(), actor, app, edge)
    except RefusedError as error:
        if error.code != "busy":
            return not_found()
        page["busy"] = "1"
    return redirect(url_for("console.head_page", **page))
