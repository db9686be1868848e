"""Scenarios at a real edge, in a real Chromium: links, cookies, frames, and what the browser has stored."""

import json
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio
from playwright.async_api import Browser, BrowserContext, Frame, Page, Response, expect

from parts import Client
from versions import BASELINE, PREVIEW, SHOP, serving, two_versions

pytestmark = pytest.mark.asyncio(loop_scope="session")

SITE = "127.0.0.1"
"""A host that browsers take for a safe one, and for another site than localhost."""


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def edge(tmp_path_factory) -> AsyncIterator[Client]:
    """Run both versions behind an edge."""
    async with two_versions(tmp_path_factory.mktemp("edges"), serving()) as (_, started):
        yield started


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def previewed(tmp_path_factory) -> AsyncIterator[Client]:
    """Run both versions behind an edge with preview hosts."""
    async with two_versions(tmp_path_factory.mktemp("previewed"), serving({PREVIEW: "web"})) as (_, started):
        yield started


@pytest_asyncio.fixture(loop_scope="session")
async def context(browser: Browser) -> AsyncIterator[BrowserContext]:
    """Return a browser without history."""
    made = await browser.new_context()
    yield made
    await made.close()


@pytest_asyncio.fixture(loop_scope="session")
async def without_cookies(browser: Browser, chromium: str, tmp_path: Path) -> AsyncIterator[BrowserContext]:
    """Return a browser whose owner has forbidden all cookies."""
    preferences = tmp_path / "Default" / "Preferences"
    preferences.parent.mkdir()
    preferences.write_text(json.dumps({"profile": {"default_content_setting_values": {"cookies": 2}}}))
    kind = browser.browser_type
    started = await kind.launch_persistent_context(
        tmp_path, executable_path=chromium, args=["--no-sandbox"], headless=True
    )
    yield started
    await started.close()


async def versions(page: Page | Frame) -> tuple[str, list[str]]:
    """Return the version of a page, and of its scripts."""
    return await page.locator("body").get_attribute("id"), await page.evaluate("window.loaded")


async def test_a_browser_that_knows_the_baseline(edge: Client, context: BrowserContext) -> None:
    """Gets nothing of it in a scenario, nor of the scenario afterwards, also where it may keep files for a year."""
    page, url = await context.new_page(), f"http://{SITE}:{edge.port}/page"
    for _ in range(2):
        for query, version in (("", BASELINE), ("?detour=shop", SHOP), ("", SHOP), ("?detour=", BASELINE)):
            await page.goto(url + query)
            assert await versions(page) == (version, [version])
            assert page.url == url
            await page.reload()
            assert await versions(page) == (version, [version])
    await page.go_back()
    await page.go_back()
    assert await versions(page) == (BASELINE, [BASELINE])


async def test_a_link_with_a_fragment(edge: Client, context: BrowserContext) -> None:
    """Stays as it was for the page's own use."""
    page = await context.new_page()
    await page.goto(f"http://{SITE}:{edge.port}/page?a=1&detour=shop#/rides/7")
    assert page.url == f"http://{SITE}:{edge.port}/page?a=1#/rides/7"
    assert await versions(page) == (SHOP, [SHOP])


async def test_a_browser_without_cookies(edge: Client, previewed: Client, without_cookies: BrowserContext) -> None:
    """Is told so, or comes to the preview host."""
    page = await without_cookies.new_page()
    await page.goto(f"http://{SITE}:{edge.port}/page?detour=shop")
    await expect(page.get_by_role("heading")).to_have_text("The scenario cannot be entered")
    await page.get_by_role("link", name="Continue without the scenario").click()
    await page.wait_for_url("**/page")
    assert await versions(page) == (BASELINE, [BASELINE])
    await page.goto(f"http://{SITE}:{previewed.port}/page?detour=shop")
    assert page.url == f"http://shop.{PREVIEW}:{previewed.port}/page"
    assert await versions(page) == (SHOP, [SHOP])


async def test_a_frame_on_another_site(edge: Client, context: BrowserContext) -> None:
    """Is in the scenario, and so is what it loads; the site outside the frame is not."""
    page = await context.new_page()
    inner = f"http://{SITE}:{edge.port}/page?detour=shop"
    await page.goto(f"http://localhost:{edge.port}/frame?src={inner.replace('?', '%3F')}")
    frame = await (await page.wait_for_selector("#inner")).content_frame()
    await frame.wait_for_load_state()
    assert await versions(frame) == (SHOP, [SHOP])
    alone = await context.new_page()
    await alone.goto(f"http://{SITE}:{edge.port}/page")
    assert await versions(alone) == (BASELINE, [BASELINE])


async def test_parts_from_another_host(previewed: Client, context: BrowserContext) -> None:
    """Of a preview page are in its scenario: a script, which has no origin, as well as the page's own."""
    page = await context.new_page()
    other = f"{SITE}:{previewed.port}"
    images: list[str | None] = []

    def note(answer: Response) -> None:
        if "/image" in answer.url:
            images.append(answer.headers.get("x-detour-scenario"))

    page.on("response", note)
    await page.goto(f"http://shop.{PREVIEW}:{previewed.port}/page?host={other}", wait_until="load")
    assert await versions(page) == (SHOP, [SHOP, SHOP])
    assert images == ["shop"]
    await page.goto(f"http://{PREVIEW}:{previewed.port}/page?host={other}", wait_until="load")
    assert await versions(page) == (BASELINE, [BASELINE, BASELINE])
