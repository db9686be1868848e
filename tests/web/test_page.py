"""How the page is served."""

import re
from pathlib import Path

import pytest
from playwright.async_api import expect

import detour.server.web

STATIC = Path(detour.server.web.__file__).with_name("static")


@pytest.fixture(scope="module")
def http(server):
    """Return a client of a server."""
    import httpx

    with httpx.Client(base_url=server.url, trust_env=False) as client:
        yield client


def test_the_page_is_asked_for_anew_and_its_files_are_kept(http):
    """Whoever has the page is told so; its files lie below a path that changes with their content."""
    page = http.get("/")
    assert page.headers["content-type"] == "text/html; charset=utf-8"
    assert page.headers["cache-control"] == "no-cache"
    assert http.get("/", headers={"if-none-match": page.headers["etag"]}).status_code == 304
    files = re.findall(r'(?:src|href)="(ui/[^"]+)"', page.text)
    assert {"app.js", "picture.js", "base.css", "icon.svg"} <= {Path(one).name for one in files}
    for name in files:
        file = http.get(f"/{name}")
        assert file.headers["cache-control"].endswith("immutable")
        assert file.headers["content-encoding"] == "gzip"
        assert file.content == (STATIC / Path(name).name).read_bytes()
    assert http.get(f"/{files[0].replace('ui/', 'ui/x')}").headers["cache-control"] == "no-store"
    assert http.get("/ui/x/none.js").headers["content-type"] == "application/problem+json"
    assert http.get("/ui/x/..%2Fpage.py").status_code == 404


def test_browsers_are_told_what_to_forbid(http):
    """No script but the page's own, no frame, no guess at types; the API's document is of the API alone."""
    headers = http.get("/").headers
    policy = dict(one.split(" ", 1) for one in headers["content-security-policy"].split("; "))
    assert policy["default-src"] == policy["frame-ancestors"] == policy["base-uri"] == "'none'"
    assert policy["script-src"] == policy["style-src"] == policy["connect-src"] == "'self'"
    assert policy["require-trusted-types-for"] == "'script'"
    assert headers["x-content-type-options"] == "nosniff"
    assert not {"/", "/ui/{version}/{name}"} & http.get("/openapi.json").json()["paths"].keys()


NO_PLACES = [
    "javascript:alert(1)",
    " java\tscript:alert(1)",
    "data:text/html,<p>",
    "vbscript:x",
    "blob:x",
    "http://[",
]
LINKS = """async (addresses) => {
  const app = document.querySelector("script[type=module]").src;
  const { h } = await import(app.replace("app.js", "dom.js"));
  return addresses.map((href) => h("a", { href }, "x").hasAttribute("href"));
}"""
MARKUP = """() => {
  try {
    document.body.innerHTML = "<p>";
    return "it was taken";
  } catch (error) {
    return error.name;
  }
}"""


@pytest.mark.asyncio(loop_scope="session")
async def test_nothing_that_is_said_becomes_code(server, browser):
    """A link leads to a page, or nowhere; the browser itself refuses text that would become markup."""
    page = await browser.new_page()
    await page.goto(server.url)
    assert await page.evaluate(LINKS, NO_PLACES) == [False] * len(NO_PLACES)
    assert await page.evaluate(LINKS, ["https://staging.example.test/?detour=a", "#/mesh"]) == [True, True]
    assert await page.evaluate(MARKUP) == "TypeError"
    await page.close()


def test_a_qr_code(http):
    """It is an image of the link, or text for a terminal; a scenario whose time is over has none."""
    body = {"overrides": {"route.users": "pr-42"}}
    http.put("/v1/scenarios/pointed-at?force=true", json=body, headers={"if-none-match": "*"}).raise_for_status()
    code = http.get("/v1/scenarios/pointed-at/qr")
    assert code.headers["content-type"] == "image/svg+xml"
    assert "<svg " in code.text[:100]
    drawn = http.get("/v1/scenarios/pointed-at/qr", headers={"accept": "text/plain"})
    assert (drawn.headers["content-type"], set(drawn.text)) == ("text/plain", set("█▀▄ \n"))
    http.delete("/v1/scenarios/pointed-at", headers={"if-match": '"1"'}).raise_for_status()
    gone = http.get("/v1/scenarios/pointed-at/qr")
    assert (gone.status_code, gone.json()["detail"].startswith("scenario pointed-at was removed")) == (410, True)
    assert http.get("/v1/scenarios/never-was/qr").status_code == 404


@pytest.mark.asyncio(loop_scope="session")
async def test_the_description_of_the_api_comes_from_the_server_alone(server, browser):
    """Also where there is no other network."""
    page = await browser.new_page()
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    await page.goto(f"{server.url}/docs")
    await expect(page.get_by_role("heading", name="Detour")).to_be_visible()
    await expect(page.get_by_text("/v1/scenarios/{name}/qr")).to_be_visible()
    elsewhere = [url for url in asked if not url.startswith((f"{server.url}/", "data:"))]
    assert (elsewhere, f"{server.url}/openapi.json" in asked) == ([], True)
    await page.close()
