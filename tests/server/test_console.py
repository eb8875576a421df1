"""The console: signed in by token, in two languages, closed to other apps, and safe to show hostile text."""

from __future__ import annotations

import html
import re
from html.parser import HTMLParser

import httpx2
import pytest

from headway_server.app import Server
from headway_server.catalog import tokens
from headway_server.console.texts import TEXTS
from headway_server.ports import Actor

from .world import FakeClock, PublisherWorld


class Tags(HTMLParser):
    """Checks that every element is closed, and collects links."""

    VOID = frozenset({"meta", "link", "input", "br", "rect", "path"})

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.links: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.links += [value or "" for name, value in attrs if name in ("href", "src", "action")]
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        if tag not in self.VOID:
            assert self.open.pop() == tag


def sign_in(client: httpx2.Client, token: str) -> None:
    answer = client.post("/console/sign-in", data={"token": token})
    assert answer.status_code == 302, answer.text
    cookie = answer.headers["set-cookie"]
    assert "HttpOnly" in cookie
    assert "SameSite=Strict" in cookie


@pytest.fixture
def visited(server: Server, published: PublisherWorld) -> PublisherWorld:
    """A signed-in browser on an app with a rollout, outcomes and a decision."""
    draft = published.publish_head(2, parent=published.draft_head(1).target.head)
    rollout = published.offer(2, permyriad=2_500).json()["id"]
    published.report(*(published.event(draft, "confirmed", n) for n in range(3)))
    published.call("POST", f"/rollouts/{rollout}/tick")
    sign_in(published.client, published.headers["Authorization"].split()[1])
    return published


def test_pages_need_a_token(client: httpx2.Client) -> None:
    for path in ("/console/", "/console/reader", "/console/reader/rollouts/0123456789abcdef"):
        answer = client.get(path)
        assert (answer.status_code, answer.headers["location"]) == (302, "/console/sign-in")
    assert client.get("/").headers["location"] == "/console/"
    assert client.post("/console/sign-in", data={"token": "hw_live_x_y"}).status_code == 401


@pytest.mark.parametrize("language", ["en", "zh"])
def test_the_page_of_an_app(visited: PublisherWorld, language: str) -> None:
    answer = visited.client.get(f"/console/reader?lang={language}")
    assert answer.status_code == 200
    assert "script" not in answer.text
    assert "default-src 'none'" in answer.headers["content-security-policy"]
    tags = Tags()
    tags.feed(answer.text)
    assert tags.open == []
    assert all(link.startswith(("/console/", "#", "?")) for link in tags.links)
    index = 1 if language == "zh" else 0
    for key in ("channels", "lineage", "releases", "confirmed", "complete", "publisher_only"):
        assert TEXTS[key][index] in html.unescape(answer.text), key
    assert "topic@2" in answer.text
    assert 'class="parent"' in answer.text
    assert len(re.findall(r'class="edge stated"', answer.text)) == 2


def test_the_page_of_a_rollout(visited: PublisherWorld) -> None:
    rollout = visited.call("GET", "/rollouts").json()["rollouts"][0]["id"]
    page = visited.client.get(f"/console/reader/rollouts/{rollout}").text
    assert "3 devices confirmed it in the last stage." in page
    assert visited.client.get("/console/reader/rollouts/0123456789abcdef").status_code == 404


def test_language_follows_the_browser(visited: PublisherWorld) -> None:
    page = visited.client.get("/console/", headers={"Accept-Language": "zh-CN,zh;q=0.9,en;q=0.5"}).text
    assert "应用" in page


def test_another_apps_pages_are_not_there(server: Server, published: PublisherWorld, clock: FakeClock) -> None:
    PublisherWorld(published.client, published.headers["Authorization"].split()[1], "thief", clock).establish()
    token = tokens.create(server.ports, Actor("test", "-"), app="thief", scopes=("read",))[1]
    sign_in(published.client, token)
    assert "reader" not in published.client.get("/console/").text
    theirs, nobodys = (published.client.get(f"/console/{app}") for app in ("reader", "nobody"))
    assert (theirs.status_code, nobodys.status_code) == (404, 404)
    assert theirs.text == nobodys.text


def test_hostile_text_stays_text(visited: PublisherWorld) -> None:
    head = visited.draft_head(2).target.head
    reason = "<script>alert(1)</script>"
    visited.call("POST", "/channels/stable/kd/recalls", json={"digest": head, "reason": reason})
    page = visited.client.get("/console/reader").text
    assert "<script>" not in page
    assert "&lt;script&gt;" in page


def test_signing_out(visited: PublisherWorld) -> None:
    visited.client.get("/console/sign-out")
    assert visited.client.get("/console/").status_code == 302


def test_every_text_has_both_languages() -> None:
    assert all(len(pair) == 2 and all(pair) for pair in TEXTS.values())
