"""The console in a real browser: sign in, ask by the forms, read a release's gate in Chinese, run its proof again."""

from __future__ import annotations

import json
import shutil
import threading
from collections.abc import Iterator
from socketserver import ThreadingMixIn
from typing import Any
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer, make_server

import pytest

from headway_server.app import Server

from .test_proofs import CARD, head_with_card
from .world import PublisherWorld

playwright = pytest.importorskip("playwright.sync_api", reason="needs playwright")
CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="no Chromium on this machine: install the package chromium")


PATIENCE_MS = 120_000
"""How long a browser may take for anything, also to start on a busy machine."""


class Threading(ThreadingMixIn, WSGIServer):
    """A browser opens connections that it may never use: none of them may keep the others waiting."""

    daemon_threads = True


class Quiet(WSGIRequestHandler):
    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def address(server: Server) -> Iterator[str]:
    with make_server("127.0.0.1", 0, server.wsgi, Threading, Quiet) as listening:
        thread = threading.Thread(target=listening.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
        thread.start()
        yield f"http://127.0.0.1:{listening.server_port}"
        listening.shutdown()
        thread.join()


def launch(api: Any) -> Any:
    """A browser."""
    return api.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"], timeout=PATIENCE_MS)


def follow(page: Any, to: Any) -> None:
    """Click what leads to another page, and be there: a click by itself does not wait for the answer."""
    with page.expect_navigation():
        to.click()


def test_a_release_is_read_and_proven_again(address: str, published: PublisherWorld) -> None:
    head_with_card(published, 2, json.dumps(CARD).encode())
    said: list[str] = []
    with playwright.sync_playwright() as api:
        browser = launch(api)
        page: Any = browser.new_page(viewport={"width": 1280, "height": 900}, locale="zh-CN")
        page.set_default_timeout(PATIENCE_MS)
        page.on("console", lambda message: said.append(message.text))
        page.on("pageerror", lambda error: said.append(str(error)))
        page.goto(f"{address}/console/")
        page.locator("#token").fill(published.headers["Authorization"].split()[1])
        follow(page, page.locator("form button"))
        follow(page, page.get_by_text("reader", exact=True))
        follow(page, page.locator("#releases").get_by_text("topic@2"))
        gate = page.locator("#gate").inner_text()
        assert "豁免理由" in gate
        assert "<b>measured by nobody</b> yet" in gate
        follow(page, page.get_by_role("button", name="重新验证"))
        assert "未运行" in page.locator("main").inner_text()
        # Nothing is wider than the window: tables scroll inside their panels.
        assert page.evaluate("document.documentElement.scrollWidth <= window.innerWidth")
        browser.close()
    assert said == []
    assert [run["result"] for run in published.call("GET", "/proofs/runs").json()["runs"]] == ["not_run"]


def test_questions_are_asked_on_a_phone_in_the_dark(address: str, published: PublisherWorld) -> None:
    published.offer(1)
    key = {"base_id": "kd", "name": "topic", "alias": "stable"}
    for release in ("1", None, "1"):
        published.call("PUT", "/aliases", json={**key, "release": release})
    said: list[str] = []
    with playwright.sync_playwright() as api:
        browser = launch(api)
        phone: Any = browser.new_page(viewport={"width": 390, "height": 800}, locale="zh-CN", color_scheme="dark")
        phone.set_default_timeout(PATIENCE_MS)
        phone.on("console", lambda message: said.append(message.text))
        phone.on("pageerror", lambda error: said.append(str(error)))
        phone.goto(f"{address}/console/")
        phone.locator("#token").fill(published.headers["Authorization"].split()[1])
        follow(phone, phone.locator("form button"))
        follow(phone, phone.get_by_text("reader", exact=True))
        for name in ("版本", "名称", "影响", "为什么没有？", "Webhook", "总览"):
            follow(phone, phone.locator("nav").get_by_text(name, exact=True))
            assert phone.evaluate("document.documentElement.scrollWidth <= window.innerWidth"), name
        follow(phone, phone.locator("nav").get_by_text("名称", exact=True))
        assert not phone.get_by_text("已移除").is_visible()
        phone.locator("summary").click()
        phone.get_by_text("已移除").wait_for(state="visible")
        follow(phone, phone.locator("nav").get_by_text("为什么没有？", exact=True))
        phone.locator("input[name=os]").fill("16")
        follow(phone, phone.locator("main form button"))
        assert "操作系统版本过低。" in phone.locator("#decision").inner_text()
        follow(phone, phone.get_by_text("English"))  # the question stays asked
        assert "The operating system is too old." in phone.locator("#decision").inner_text()
        browser.close()
    assert said == []
