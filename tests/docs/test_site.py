"""The documentation site: it builds without a broken link, has what the code has, and needs no internet."""

import json
import os
import re
import shutil
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import suppress
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from playwright.sync_api import TimeoutError as TakesTooLong
from playwright.sync_api import expect, sync_playwright

from detour import client
from detour.cli.app import app
from docs.examples import ROOT


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Build the site."""
    folder = tmp_path_factory.mktemp("site")
    program = Path(sys.executable).with_name("mkdocs")
    done = subprocess.run(
        [program, "build", "--quiet", "--site-dir", folder],
        cwd=ROOT,
        env={**os.environ, "NO_MKDOCS_2_WARNING": "1"},
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
    )
    assert (done.returncode, done.stderr) == (0, ""), done.stderr
    return folder


def test_each_page_of_the_project_and_each_part_of_the_code_is_there(site: Path) -> None:
    """Pages, decisions, commands, operations of the API, and what the Python packages export."""
    pages = {path.stem for path in ROOT.glob("docs/*.md")}
    assert pages <= {path.stem for path in site.glob("*.html")}
    decisions = {path.stem for path in ROOT.glob("docs/decisions/*.md")}
    assert decisions == {path.stem for path in site.glob("decisions/*.html")} - {"index"}
    commands = {one.name for one in app.registered_commands} | {one.name for one in app.registered_groups}
    assert commands == {path.stem for path in site.glob("commands/*.html")}
    assert set(client.__all__) <= ids(site / "python/client.html")
    methods = {f"Client.{name}" for name in dir(client.Client) if not name.startswith("_")}
    assert methods <= ids(site / "python/client.html")
    assert len(list(site.glob("api/*.html"))) > 5
    assert "listservices" in {one for path in site.glob("api/*.html") for one in anchors(path)}
    assert "mesh.schema.json" in {path.name for path in site.iterdir()}


def test_the_facts_about_an_option_are_set_apart(site: Path) -> None:
    """Its default and its variable, whether Typer or the command names them; `--help` has them in brackets."""
    rows = re.findall(r"<tr>(.*?)</tr>", (site / "commands/serve.html").read_text(), re.DOTALL)
    (row,) = [row for row in rows if "--database" in row]
    assert re.findall("<em>(.*?)</em>", row) == [
        "default: .scenarios.db beside the mesh file",
        "env var: DETOUR_DATABASE",
    ]
    assert [row for row in rows if "[default" in row or "[env var" in row] == []


def anchors(page: Path) -> set[str]:
    """Return the anchors of a page."""
    return set(re.findall(r'id="([^"]+)"', page.read_text()))


def ids(page: Path) -> set[str]:
    """Return what a page of a package documents."""
    return {one.removeprefix("detour.client.") for one in anchors(page)}


def test_nothing_comes_from_elsewhere(site: Path) -> None:
    """No script, style, font or picture; only links lead out."""
    loaded = re.compile(
        r"<(?:script|img|iframe|source)[^>]+src=\"?(https?:[^\" >]+)|<link[^>]+href=\"?(https?:[^\" >]+)[^>]*>"
    )
    found = {
        (str(path.relative_to(site)), match[0])
        for path in site.rglob("*.html")
        for match in loaded.finditer(path.read_text())
        if 'rel="canonical"' not in match[0] and "rel=canonical" not in match[0]
    }
    assert found == set()


class _Quiet(SimpleHTTPRequestHandler):
    def log_message(self, *_arguments: object) -> None:
        pass


@pytest.fixture
def address(site: Path) -> Iterator[str]:
    """Serve the site."""
    with ThreadingHTTPServer(("127.0.0.1", 0), partial(_Quiet, directory=str(site))) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_address[1]}"
        server.shutdown()


def test_one_finds_and_reads_a_page(address: str) -> None:
    """In a browser without the internet: a search leads to an option's command; nothing is wider than a phone."""
    program = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    if program is None:
        pytest.skip("no Chromium on this machine: apt-get install chromium")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=program, args=["--no-sandbox"])
        page = browser.new_page(viewport={"width": 390, "height": 844})
        foreign, complaints = [], []
        page.on(
            "request",
            lambda one: None if one.url.startswith((address, "data:", "blob:")) else foreign.append(one.url),
        )
        page.on("console", lambda one: complaints.append(one.text) if one.type == "error" else None)
        page.goto(f"{address}/index.html")
        page.locator("label[for=__search]").first.click()
        search = page.get_by_role("textbox", name="Search")
        found = page.locator(".md-search-result__link[href*='commands/serve.html']").first
        for _ in range(10):
            # The search listens to keys, and not before its index is loaded.
            search.fill("")
            search.press_sequentially("endpoint-networks")
            with suppress(TakesTooLong):
                found.click(timeout=3_000)
                break
        expect(page).to_have_url(re.compile("commands/serve.html"), timeout=30_000)
        for name in ("index", "commands/serve", "api/deployments", "python/client", "propagation"):
            page.goto(f"{address}/{name}.html")
            assert page.evaluate("document.documentElement.scrollWidth") <= 390, name
        browser.close()
    assert foreign == []
    assert json.dumps(complaints) == "[]"
