"""The console's pages that answer questions: find, names and their history, what if, why not, who is told."""

from __future__ import annotations

import html
import re

import pytest

from headway_server.app import Server
from headway_server.catalog import tokens
from headway_server.console.texts import TEXTS
from headway_server.console.webhook_view import shortened
from headway_server.ports import Actor

from .test_console import Tags, sign_in
from .world import FakeClock, PublisherWorld

DAY_S = 86_400
PAGES = ("releases", "names", "impact", "explain", "webhooks")


@pytest.fixture
def signed_in(published: PublisherWorld) -> PublisherWorld:
    """An administrator's browser on an app with one release and a channel."""
    published.offer(1)
    sign_in(published.client, published.headers["Authorization"].split()[1])
    return published


def page(world: PublisherWorld, path: str) -> str:
    """The text of a page, which is well-formed and leads nowhere foreign."""
    answer = world.client.get(f"/console/reader/{path}")
    assert answer.status_code == 200, answer.text
    tags = Tags()
    tags.feed(answer.text)
    assert tags.open == []
    assert all(link.startswith(("/console/", "#", "?")) for link in tags.links)
    return re.sub(r"\s+", " ", html.unescape(re.sub(r"<[^>]+>", " ", answer.text)))


@pytest.mark.parametrize("language", ["en", "zh"])
@pytest.mark.parametrize("path", PAGES)
def test_every_page_speaks_both_languages(signed_in: PublisherWorld, path: str, language: str) -> None:
    text = page(signed_in, f"{path}?lang={language}")
    assert TEXTS["overview"][language == "zh"] in text
    assert not re.search(r"\b(f|d|h)_[a-z_]+\b", text), "a word without a text"


@pytest.mark.parametrize("path", PAGES)
def test_pages_are_closed_to_strangers(server: Server, signed_in: PublisherWorld, clock: FakeClock, path: str) -> None:
    PublisherWorld(signed_in.client, signed_in.headers["Authorization"].split()[1], "thief", clock).establish()
    signed_in.client.get("/console/sign-out")
    assert signed_in.client.get(f"/console/reader/{path}").status_code == 302
    sign_in(signed_in.client, tokens.create(server.ports, Actor("test", "-"), app="thief", scopes=("admin",))[1])
    theirs, nobodys = (signed_in.client.get(f"/console/{app}/{path}") for app in ("reader", "nobody"))
    assert (theirs.status_code, theirs.text) == (404, nobodys.text)


def test_what_an_alias_pointed_to_on_a_day(signed_in: PublisherWorld, clock: FakeClock) -> None:
    signed_in.publish_head(2)
    key = {"base_id": "kd", "name": "topic", "alias": "stable"}
    for release in ("1", "2", None):
        signed_in.call("PUT", "/aliases", json={**key, "release": release, "note": f"to {release}"})
        clock.forward(DAY_S)
    label = {"base_id": "kd", "name": "topic", "release": "1", "key": "qa", "value": "<i>passed</i>"}
    signed_in.call("PUT", "/labels", json=label)
    now = page(signed_in, "names")
    assert "3 changes" in now
    assert now.index("removed") < now.index("topic@2") < now.index("topic@1"), "newest first"
    assert "<i>passed</i>" in now
    first, second = page(signed_in, "names?at=2026-03-01"), page(signed_in, "names?at=2026-03-02")
    assert re.search(r"stable kd/topic topic@1 2026-03-01", first)
    assert re.search(r"stable kd/topic topic@2 2026-03-02", second)
    assert "Nothing stood then." in page(signed_in, "names?at=2026-02-28")
    assert "That is no day." in page(signed_in, "names?at=3+May")


def test_finding_releases(signed_in: PublisherWorld) -> None:
    for release in range(2, 6):
        signed_in.publish_head(release, name="mood" if release % 2 else "topic", base_id="kd")
    signed_in.call("PUT", "/aliases", json={"base_id": "kd", "name": "topic", "alias": "stable", "release": "4"})
    found = page(signed_in, "releases?name=mood")
    assert ("mood@3" in found, "topic@4" in found) == (True, False)
    assert "topic@4" in page(signed_in, "releases?alias=stable")
    assert "Nothing fits." in page(signed_in, "releases?state=revoked")
    assert signed_in.client.get("/console/reader/releases?after=nonsense").status_code == 404


def test_what_shipping_another_base_means(signed_in: PublisherWorld) -> None:
    signed_in.report(signed_in.event(signed_in.draft_head(1), "confirmed", 1))
    first = signed_in.packages["kd"]
    second = signed_in.publish_base("2").package
    today = page(signed_in, f"impact?base={first}")
    assert "of 1 heads 1 run on it and 0 would be lost. 100 % of confirmations" in today
    tomorrow = page(signed_in, f"impact?base={second}")
    assert "0 run on it and 1 would be lost. 0 % of confirmations" in tomorrow
    assert "No proof exists for this head on the device's base." in tomorrow
    assert "没有该分类头在设备基座上的验证。" in page(signed_in, f"impact?base={second}&lang=zh")
    assert "The app has no such base." in page(signed_in, "impact?base=sha256:00")


def test_why_a_device_does_not_get_it(signed_in: PublisherWorld) -> None:
    signed_in.publish_head(2)
    signed_in.offer(2)
    asked = f"explain?channel=stable/kd&name=topic&base={signed_in.packages['kd']}"
    assert "It takes topic@2 in place of its embedded head." in page(signed_in, asked)
    old = page(signed_in, f"{asked}&os=16&current_release=1")
    assert "It keeps topic@1; topic@2 is not for it: The operating system is too old." in old
    assert "失败过" in page(signed_in, f"{asked}&current_release=1&failed=2&lang=zh")
    assert "confirmed a newer release" in page(signed_in, f"{asked}&floor_release=3")
    for wrong in ("os=seventeen", "app_build=many", f"current_release={'9' * 30}"):
        assert "It " not in page(signed_in, f"{asked}&{wrong}")
    assert "It " not in page(signed_in, "explain"), "nobody was described yet"


def test_a_revoked_release_is_shown_as_such(signed_in: PublisherWorld) -> None:
    assert "leave it at their next poll" not in signed_in.client.get("/console/reader").text
    revoked = signed_in.draft_head(1, status="revoked")
    assert signed_in.post_role("heads-kd", signed_in.head_role(revoked)).status_code == 200
    assert "leave it at their next poll" in signed_in.client.get("/console/reader").text
    assert "会在下次轮询时放弃它" in page(signed_in, "heads/kd/topic/1?lang=zh")
    assert "topic@1" in page(signed_in, "releases?state=revoked")


def test_webhooks_are_for_administrators_and_tell_no_secret(server: Server, signed_in: PublisherWorld) -> None:
    url = "https://chat.example.net/services/T0/B0/verysecret?key=alsosecret"
    made = signed_in.call(
        "POST", "/webhooks", json={"url": url, "events": ["rollout.halted"], "note": "on call"}
    ).json()
    signed_in.call("POST", f"/webhooks/{made['id']}/ping")
    text = signed_in.client.get("/console/reader/webhooks").text
    assert "https://chat.example.net/services/…" in text
    assert "on call" in text
    assert "waiting" in text
    assert not {"verysecret", "alsosecret", made["secret"]} & set(re.split(r"[^A-Za-z0-9+/=_-]", text))
    sign_in(signed_in.client, tokens.create(server.ports, Actor("test", "-"), app="reader", scopes=("read",))[1])
    assert signed_in.client.get("/console/reader/webhooks").status_code == 404
    assert "/webhooks" not in signed_in.client.get("/console/reader").text


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("https://a.example/hook", "https://a.example/hook"),
        ("https://a.example", "https://a.example/"),
        ("https://user:word@a.example:8443/x/y", "https://a.example:8443/x/…"),
        ("https://a.example/x?token=1", "https://a.example/x/…"),
    ],
)
def test_shortened_addresses(url: str, shown: str) -> None:
    assert shortened(url) == shown


def test_a_large_app_is_listed_in_part(signed_in: PublisherWorld, monkeypatch: pytest.MonkeyPatch) -> None:
    signed_in.publish_head(2)
    signed_in.publish_head(3)
    monkeypatch.setattr("headway_server.console.overview.MOST", 2)
    text = re.sub(r"<[^>]+>", "", signed_in.client.get("/console/reader").text)
    assert "The newest 2 / 3." in text
    table = text[text.index("Find any release") :]
    assert ("topic@3" in table, "topic@1" in table[: table.index("Outcomes")]) == (True, False)
