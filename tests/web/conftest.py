"""A real server, and a real browser that looks at its page; whatever the browser complains of fails the test."""

import shutil
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager, contextmanager
from pathlib import Path
from typing import Protocol

import httpx
import pytest
import pytest_asyncio
from playwright.async_api import Browser, ConsoleMessage, Error, Page, async_playwright, expect

from cli.running import Server, serving
from web.staging import Staging
from web.staging import staging as running_staging

MESH = """\
edge:
  hosts: {"*": web}
  previews: {preview.example.test: web}
  url: https://staging.example.test
services:
  web: {endpoints: ["127.0.0.1:9000"]}
  users:
    endpoints: ["127.0.0.1:9001", "127.0.0.1:9011"]
    deployments:
      filed: {endpoints: ["127.0.0.1:9002"], owner: ops}
  payments: {endpoints: ["127.0.0.1:9003"]}
  search: {endpoints: []}
"""
DEADLINE_MS = 20_000
DESK = {"width": 1440, "height": 900}


class HasUrl(Protocol):
    """A server, wherever it runs."""

    url: str


Opening = Callable[..., AbstractAsyncContextManager[Page]]


def mesh_file(folder: Path, text: str = MESH) -> Path:
    """Write a mesh file, in a folder of its own."""
    path = folder / "mesh" / "mesh.yaml"
    path.parent.mkdir()
    path.write_text(text)
    return path


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """Run a server for all tests; each uses names of its own."""
    with serving(mesh_file(tmp_path_factory.mktemp("web"))) as started:
        yield started


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def staging(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Staging]:
    """Run a mesh for all tests that look at requests; each calls what no other does, or counts nothing."""
    async with running_staging(tmp_path_factory.mktemp("staging")) as started:
        yield started


@pytest.fixture(scope="session")
def chromium() -> str:
    """Find Chromium."""
    program = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    if program is None:
        pytest.skip("no Chromium on this machine: apt-get install chromium")
    return program


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def browser(chromium: str) -> AsyncIterator[Browser]:
    """Start Chromium."""
    expect.set_options(timeout=DEADLINE_MS)
    async with async_playwright() as playwright:
        started = await playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        yield started
        await started.close()


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def desk(browser: Browser) -> AsyncIterator[Page]:
    """Open a window on a desk, in which one test after the other is done."""
    context = await browser.new_context(viewport=DESK)
    yield await context.new_page()
    await context.close()


@pytest.fixture
def opening(browser: Browser, desk: Page) -> Opening:
    """Return what opens the page, as a person does who types its address; nothing of the last test is left."""

    @asynccontextmanager
    async def opened(server: HasUrl, place: str = "", **settings: object) -> AsyncIterator[Page]:
        page = await browser.new_page(**{"viewport": DESK, **settings}) if settings else desk
        page.set_default_timeout(DEADLINE_MS)
        with watched(page) as faults:
            await page.goto(f"{server.url}/{place}")
            await page.wait_for_selector("main h1")
            try:
                yield page
            finally:
                await (page.close() if settings else left(page))
        assert faults == []

    return opened


async def left(page: Page) -> None:
    """Leave a page, and take with it what it had kept."""
    await page.evaluate("sessionStorage.clear()")
    await page.goto("about:blank")


@contextmanager
def watched(page: Page) -> Iterator[list[str]]:
    """List what the browser complains of."""
    faults: list[str] = []

    def thrown(error: Error) -> None:
        faults.append(str(error))

    def told(message: ConsoleMessage) -> None:
        if is_fault(message.type, message.text):
            faults.append(message.text)

    page.on("pageerror", thrown)
    page.on("console", told)
    yield faults
    page.remove_listener("pageerror", thrown)
    page.remove_listener("console", told)


def is_fault(kind: str, text: str) -> bool:
    """Say whether the console's words are of a mistake in the page; it tells of answers with an error as well."""
    return kind in {"error", "warning"} and not text.startswith("Failed to load resource")


@pytest_asyncio.fixture(loop_scope="session")
async def page(server: Server, opening: Opening) -> AsyncIterator[Page]:
    """Open the page."""
    async with opening(server) as opened:
        yield opened


@pytest.fixture
def bo(server: Server) -> Iterator[httpx.Client]:
    """Return how somebody else uses the server at the same time."""
    with httpx.Client(base_url=server.url, headers={"x-detour-user": "bo"}, trust_env=False) as client:
        yield client


def save(client: httpx.Client, name: str, overrides: dict[str, str], **more: str) -> None:
    """Save a scenario that is new, whatever the mesh has."""
    body = {"overrides": overrides, **more}
    client.put(f"/v1/scenarios/{name}?force=true", json=body, headers={"if-none-match": "*"}).raise_for_status()
