"""The console's pages. A visitor signs in with a token; the pages of an app show only to tokens that may read it."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any, cast
from urllib.parse import urlsplit

from flask import Blueprint, Response, current_app, g, redirect, render_template, request, url_for
from werkzeug.wrappers import Response as BaseResponse

from headway.contract.digests import parse_digest
from headway.contract.errors import RefusedError
from headway.contract.problems import status_of
from headway_server.access import check_token
from headway_server.catalog import apps, tokens
from headway_server.catalog.reproving import Edge, rerun
from headway_server.console import lineage_svg, overview
from headway_server.console import release as releases
from headway_server.console.reasons import reason
from headway_server.console.texts import LANGUAGES, text
from headway_server.delivery import reports
from headway_server.delivery.ratelimit import LIMITS, Limits
from headway_server.ports import EXTENSION, Actor, Ports
from headway_server.records import TokenRecord

_COOKIE = "headway_console"
_POLICY = (
    "default-src 'none'; style-src 'self'; img-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
)

console = Blueprint("console", __name__, url_prefix="/console", template_folder="templates", static_folder="static")


def _ports() -> Ports:
    return cast(Ports, current_app.extensions[EXTENSION])


def _check_token(text: str) -> TokenRecord:
    limits = cast(Limits, current_app.extensions[LIMITS])
    return check_token(_ports(), limits, text, request.remote_addr or "")


@console.before_request
def sign_in_first() -> BaseResponse | None:
    """Everything but the sign-in page and the style sheet needs a valid token."""
    chosen = request.args.get("lang", "")
    g.language = chosen if chosen in LANGUAGES else request.accept_languages.best_match(LANGUAGES, default="en")
    if request.endpoint in ("console.sign_in", "console.static"):
        return None
    try:
        g.token = _check_token(request.cookies.get(_COOKIE, ""))
    except RefusedError:
        return redirect(url_for("console.sign_in", **_language()))
    return None


@console.after_request
def protect(response: Response) -> Response:
    """Nothing foreign is loaded, nothing is framed, nothing is kept."""
    response.headers["Content-Security-Policy"] = _POLICY
    response.headers["X-Content-Type-Options"] = "nosniff"
    response.headers["Referrer-Policy"] = "same-origin"
    if request.endpoint != "console.static":
        response.headers["Cache-Control"] = "no-store"
    return response


@console.context_processor
def helpers() -> dict[str, Any]:
    """What templates may call."""
    return {
        "t": lambda key: text(key, g.language),
        "why": lambda sentence: reason(sentence, g.language),
        "lang": g.language,
        "keep": _language(),
        "utc": lambda seconds: datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%d %H:%M"),
        "share": lambda permyriad: f"{permyriad / 100:.2f}".rstrip("0").rstrip(".") + " %",
        "size": _size,
        "bar": lineage_svg.bar,
        "signed_in": "token" in g,
    }


@console.route("/sign-in", methods=["GET", "POST"])
def sign_in() -> BaseResponse | str | tuple[str, int]:
    """Trade a token for a cookie."""
    if request.method == "GET":
        return render_template("console/sign_in.html", failed=False)
    given = request.form.get("token", "").strip()
    try:
        _check_token(given)
    except RefusedError as error:
        return render_template("console/sign_in.html", failed=True), status_of(error)
    response = redirect(url_for("console.index", **_language()))
    response.set_cookie(_COOKIE, given, httponly=True, samesite="Strict", secure=request.is_secure, path="/console")
    return response


@console.get("/sign-out")
def sign_out() -> BaseResponse:
    """Forget the cookie."""
    response = redirect(url_for("console.sign_in", **_language()))
    response.delete_cookie(_COOKIE, path="/console")
    return response


@console.get("/")
def index() -> BaseResponse | str:
    """The apps that this token may see."""
    token = cast(TokenRecord, g.token)
    listed = [record for record in apps.listed(_ports()) if token.app in (None, record.app)]
    return render_template("console/index.html", apps=listed)


@console.get("/<app>")
def app_page(app: str) -> BaseResponse | str | tuple[str, int]:
    """One app: channels, lineage, proofs, releases, outcomes, audit."""
    if not _may(app):
        return _not_found()
    view = overview.of_app(_ports(), app)
    drawing = lineage_svg.draw(view.bases, view.heads, view.edges)
    return render_template("console/app.html", view=view, drawing=drawing)


@console.get("/<app>/rollouts/<rollout>")
def rollout_page(app: str, rollout: str) -> BaseResponse | str | tuple[str, int]:
    """One rollout with every decision and what it rests on."""
    if not _may(app):
        return _not_found()
    try:
        item = reports.one(_ports(), app, rollout)
    except RefusedError:
        return _not_found()
    decisions = reports.decisions(_ports(), app, rollout)[::-1]
    return render_template("console/rollout.html", app=app, item=item, decisions=decisions)


@console.get("/<app>/bases/<base_id>/<version>")
def base_page(app: str, base_id: str, version: str) -> BaseResponse | str | tuple[str, int]:
    """One base version: its gate and what was waived."""
    view = releases.of_base(_ports(), app, base_id, version) if _may(app) else None
    return _not_found() if view is None else render_template("console/release.html", app=app, view=view)


@console.get("/<app>/heads/<base_id>/<name>/<int:release>")
def head_page(app: str, base_id: str, name: str, release: int) -> BaseResponse | str | tuple[str, int]:
    """One head release: its gate, what was waived, and every proof with its date."""
    view = releases.of_head(_ports(), app, base_id, name, release) if _may(app) else None
    if view is None:
        return _not_found()
    allowed, busy = _may(app, "publish"), "busy" in request.args
    return render_template("console/release.html", app=app, view=view, busy=busy, may_publish=allowed)


@console.post("/<app>/heads/<base_id>/<name>/<int:release>/prove")
def prove_again(app: str, base_id: str, name: str, release: int) -> BaseResponse | str | tuple[str, int]:
    """Run a proof again, if the form came from this very page and the token may publish."""
    origin = urlsplit(request.headers.get("Origin", "")).netloc
    if origin != request.host or not _may(app, "publish"):
        return _not_found()
    actor = Actor(f"token:{cast(TokenRecord, g.token).id}", "console")
    page = {"app": app, "base_id": base_id, "name": name, "release": release, **_language()}
    try:
        edge = Edge(base_id, name, release, parse_digest(request.form.get("base", "")))
        rerun(_ports(), actor, app, edge)
    except RefusedError as error:
        if error.code != "busy":
            return _not_found()
        page["busy"] = "1"
    return redirect(url_for("console.head_page", **page))


def _may(app: str, scope: str = "read") -> bool:
    try:
        tokens.allow(cast(TokenRecord, g.token), scope, app)
    except RefusedError:
        return False
    return any(record.app == app for record in apps.listed(_ports()))


def _not_found() -> tuple[str, int]:
    # Another app and no app look the same.
    return render_template("console/missing.html"), 404


def _language() -> dict[str, Any]:
    chosen = request.args.get("lang", "")
    return {"lang": chosen} if chosen in LANGUAGES else {}


def _size(number: int) -> str:
    for unit, factor in (("GB", 10**9), ("MB", 10**6), ("kB", 10**3)):
        if number >= factor:
            return f"{number / factor:.1f} {unit}"
    return f"{number} B"
