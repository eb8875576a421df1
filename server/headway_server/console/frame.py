"""What all pages share: the blueprint, who may see what, the language, and the helpers of templates."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any, cast

from flask import Blueprint, Response, current_app, g, redirect, render_template, request, url_for
from werkzeug.wrappers import Response as BaseResponse

from headway.contract.errors import RefusedError
from headway.contract.problems import status_of
from headway_server.access import check_token
from headway_server.catalog import apps, tokens
from headway_server.console import lineage_svg
from headway_server.console.reasons import reason
from headway_server.console.texts import LANGUAGES, text
from headway_server.delivery.ratelimit import LIMITS, Limits
from headway_server.ports import EXTENSION, Ports
from headway_server.records import TokenRecord

Page = BaseResponse | str | tuple[str, int]

_COOKIE = "headway_console"
_POLICY = (
    "default-src 'none'; style-src 'self'; img-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
)

console = Blueprint("console", __name__, url_prefix="/console", template_folder="templates", static_folder="static")


def ports() -> Ports:
    """The server's ports."""
    return cast(Ports, current_app.extensions[EXTENSION])


def visitor() -> TokenRecord:
    """The token that is signed in."""
    return cast(TokenRecord, g.token)


def may(app: str, scope: str = "read") -> bool:
    """Whether the visitor may do that with an app that exists."""
    try:
        tokens.allow(visitor(), scope, app)
    except RefusedError:
        return False
    return any(record.app == app for record in apps.listed(ports()))


def not_found() -> tuple[str, int]:
    """Another app and no app look the same."""
    return render_template("console/missing.html"), 404


def kept_language() -> dict[str, Any]:
    """The language that the visitor chose, for links to carry on."""
    chosen = request.args.get("lang", "")
    return {"lang": chosen} if chosen in LANGUAGES else {}


def _check_token(text: str) -> TokenRecord:
    limits = cast(Limits, current_app.extensions[LIMITS])
    return check_token(ports(), limits, text, request.remote_addr or "")


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
        return redirect(url_for("console.sign_in", **kept_language()))
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
        "keep": kept_language(),
        "other": {**request.args.to_dict(), "lang": "en" if g.language == "zh" else "zh"},
        "utc": lambda seconds: datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%d %H:%M"),
        "share": lambda permyriad: f"{permyriad / 100:.2f}".rstrip("0").rstrip(".") + " %",
        "size": _size,
        "bar": lineage_svg.bar,
        "may": may,
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
    response = redirect(url_for("console.index", **kept_language()))
    response.set_cookie(_COOKIE, given, httponly=True, samesite="Strict", secure=request.is_secure, path="/console")
    return response


@console.get("/sign-out")
def sign_out() -> BaseResponse:
    """Forget the cookie."""
    response = redirect(url_for("console.sign_in", **kept_language()))
    response.delete_cookie(_COOKIE, path="/console")
    return response


def _size(number: int) -> str:
    for unit, factor in (("GB", 10**9), ("MB", 10**6), ("kB", 10**3)):
        if number >= factor:
            return f"{number / factor:.1f} {unit}"
    return f"{number} B"
