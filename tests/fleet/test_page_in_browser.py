"""The report in a real browser: both languages, both themes, no errors, no request, readable by a screen reader."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from headway.fleet.report.page import render

from .sample import sample

playwright = pytest.importorskip("playwright.sync_api", reason="needs playwright")
CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="no Chromium on this machine: install the package chromium")


PATIENCE_MS = 120_000
"""How long a browser may take for anything, also to start on a busy machine."""


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    with playwright.sync_playwright() as api:
        chromium = api.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"], timeout=PATIENCE_MS)
        yield chromium
        chromium.close()


@pytest.fixture(scope="module")
def url(tmp_path_factory: pytest.TempPathFactory) -> str:
    path = tmp_path_factory.mktemp("page") / "report.html"
    path.write_text(render(sample()), encoding="utf-8")
    return path.as_uri()


@pytest.fixture
def said() -> list[str]:
    """What the console said and the network was asked."""
    return []


@pytest.fixture
def page(browser: Any, url: str, said: list[str]) -> Iterator[Any]:
    opened = browser.new_page(viewport={"width": 1280, "height": 900}, locale="en-GB")
    opened.set_default_timeout(PATIENCE_MS)
    opened.on("console", lambda message: said.append(message.text))
    opened.on("pageerror", lambda error: said.append(str(error)))
    opened.on("request", lambda request: None if request.url.startswith(url) else said.append(request.url))
    opened.goto(url)
    yield opened
    opened.close()


def visible(page: Any) -> str:
    return str(page.locator("main").inner_text())


def chinese(text: str) -> bool:
    return any("\u4e00" <= character <= "\u9fff" for character in text)


def test_the_browser_finds_nothing_wrong(page: Any, said: list[str]) -> None:
    page.locator("#open-all").click()
    page.wait_for_function(f"document.querySelectorAll('details.story[open]').length === {len(sample().devices)}")
    assert said == []


def test_each_language_is_whole_and_alone(page: Any, said: list[str]) -> None:
    english = visible(page)
    assert "What every device ran" in english
    assert not chinese(english)
    page.locator("label[for=language-zh]").click()
    page.wait_for_function("document.documentElement.lang === 'zh-CN'")
    other = visible(page)
    assert "每台设备运行了什么" in other
    assert "What every device ran" not in other
    assert said == []


def test_a_chinese_reader_is_greeted_in_chinese(browser: Any, url: str) -> None:
    opened = browser.new_page(locale="zh-CN")
    opened.goto(url)
    assert "每台设备运行了什么" in visible(opened)
    opened.close()


def test_it_works_without_script(browser: Any, url: str) -> None:
    context = browser.new_context(java_script_enabled=False)
    opened = context.new_page()
    opened.goto(url)
    assert "What every device ran" in visible(opened)
    opened.locator("label[for=language-zh]").click()
    opened.get_by_text("每台设备运行了什么").first.wait_for(state="visible")
    context.close()


def test_the_theme_follows_the_reader(page: Any) -> None:
    def paper() -> str:
        return str(page.evaluate("getComputedStyle(document.body).backgroundColor"))

    def wait_for(condition: str, other: str) -> None:
        page.wait_for_function(f"other => getComputedStyle(document.body).backgroundColor {condition} other", arg=other)

    light = paper()
    page.locator("label[for=theme-dark]").click()
    wait_for("!==", light)
    dark = paper()
    page.locator("label[for=theme-auto]").click()
    wait_for("===", light)
    page.emulate_media(color_scheme="dark")
    wait_for("===", dark)


def test_nothing_is_wider_than_a_phone(browser: Any, url: str) -> None:
    opened = browser.new_page(viewport={"width": 390, "height": 844})
    opened.goto(url)
    assert opened.evaluate("document.documentElement.scrollWidth") <= 390
    opened.close()


def test_drawings_and_tables_have_names(page: Any) -> None:
    drawings = page.locator("svg[role=img]")
    assert drawings.count() >= 5
    for index in range(drawings.count()):
        assert drawings.nth(index).get_attribute("aria-label")
    assert page.locator("table:not(:has(th))").count() == 0
    assert page.locator("h1").count() == 1


def test_it_prints(page: Any, tmp_path: Path) -> None:
    target = tmp_path / "report.pdf"
    page.pdf(path=str(target))
    assert target.read_bytes().startswith(b"%PDF")
