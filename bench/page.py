"""How soon the web page shows a large mesh in Chromium: what a person sees first, what moves, what is transferred.

The server is real, with 200 services and 300 offloaded deployments. The calls between the services are made up
here, in the browser, in place of the answer to `/v1/calls`: running that many services would take too long.
"""

import gzip
import json
import random
import shutil
import statistics
from typing import Any, Final

from playwright.async_api import Browser, Page, async_playwright

from bench.mesh import bench_mesh, names
from bench.options import Options
from bench.report import Row, skipped
from bench.server import Server

_SERVICES: Final = 200
_DEPLOYMENTS: Final = 300
_LAYERS: Final = 7
_LOADS: Final = 15
_READY_MS: Final = 20_000
_SCREEN: Final = {"width": 1440, "height": 900}
_PROGRAMS: Final = ("chromium", "chromium-browser", "google-chrome")

_WATCH: Final = """
window.seen = { shift: 0, picture: 0 };
new PerformanceObserver((list) => {
  for (const one of list.getEntries()) window.seen.shift += one.value;
}).observe({ type: "layout-shift", buffered: true });
const watching = new MutationObserver(() => {
  if (!document.querySelector(".picture .service")) return;
  watching.disconnect();
  // The second frame begins when the first one, with the picture, has been painted.
  requestAnimationFrame(() => requestAnimationFrame(() => { window.seen.picture = performance.now(); }));
});
watching.observe(document, { childList: true, subtree: true });
"""
_ANSWER: Final = """
const ask = window.fetch;
window.fetch = (path, how) => path === "v1/calls" ? Promise.resolve(new Response(CALLS)) : ask(path, how);
"""
_READ: Final = """() => {
  const [load] = performance.getEntriesByType("navigation");
  const [first] = performance.getEntriesByName("first-contentful-paint");
  const files = performance.getEntriesByType("resource").filter((one) => !one.name.endsWith("/v1/calls"));
  const bytes = [load, ...files].reduce((sum, one) => sum + one.transferSize, 0);
  return { ...window.seen, first: first.startTime, bytes };
}"""


async def measure(options: Options) -> list[Row]:
    """Return when the picture is there, how far anything moved, and the bytes of a first visit."""
    program = next((found for one in _PROGRAMS if (found := shutil.which(one))), None)
    if program is None:
        return [skipped("the web page in Chromium", "no Chromium on this machine: apt-get install chromium")]
    services = names(_SERVICES)
    async with bench_mesh() as mesh, async_playwright() as playwright:
        server = await mesh.server(services)
        draw = random.Random(1)
        deployments = [(draw.choice(services), f"pr-{number}") for number in range(_DEPLOYMENTS)]
        for service, name in deployments:
            await server.add(service, name, mesh.offloaded)
        calls = json.dumps({"items": _calls(services, deployments, draw), "next": None})
        browser = await playwright.chromium.launch(executable_path=program, args=["--no-sandbox"])
        seen = [await _visit(browser, server, calls) for _ in range(options.times(_LOADS, 2))]
        await browser.close()
    return _rows(seen)


def _calls(services: list[str], deployments: list[tuple[str, str]], draw: random.Random) -> list[dict[str, Any]]:
    """Make up calls as a real mesh has them: each service is called by one or two of the layer before its own."""
    size = len(services) // _LAYERS
    calls = [_call("edge", services[0], None, 900)]
    for number, service in enumerate(services[1:], 1):
        first = max(0, (number // size - 1) * size)
        callers = draw.sample(services[first : max(1, number // size * size)], k=1 if number <= size else 2)
        calls += [_call(caller, service, None, draw.randrange(1, 900)) for caller in callers]
    callers_of = {call["service"]: call["caller"] for call in calls}
    calls += [
        _call(callers_of[service], service, name, draw.randrange(1, 30)) for service, name in deployments[:100]
    ]
    return calls


def _call(caller: str, service: str, deployment: str | None, requests: int) -> dict[str, Any]:
    return {
        "caller": caller,
        "caller_deployment": None,
        "service": service,
        "deployment": deployment,
        "requests": requests,
        "errors": requests // 300,
        "last": "2026-01-01T00:00:00Z",
    }


async def _visit(browser: Browser, server: Server, calls: str) -> dict[str, float]:
    """Open the page like a first visitor, and wait until it loads nothing more."""
    context = await browser.new_context(viewport=_SCREEN)  # type: ignore[arg-type]
    page: Page = await context.new_page()
    # In the page itself: intercepting requests would slow down each of them.
    await page.add_init_script(_WATCH + _ANSWER.replace("CALLS", json.dumps(calls)))
    await page.goto(str(server.api.base_url))
    await page.wait_for_selector(".picture .service", timeout=_READY_MS)
    await page.get_by_text("Live", exact=True).wait_for()
    await page.wait_for_timeout(500)
    seen: dict[str, float] = await page.evaluate(_READ)
    await context.close()
    return {**seen, "calls": len(gzip.compress(calls.encode(), 4))}


def _rows(seen: list[dict[str, float]]) -> list[Row]:
    pictures = sorted(one["picture"] for one in seen)
    more = {
        "median": statistics.median(pictures),
        "first contentful paint, median": statistics.median(one["first"] for one in seen),
        "visits": len(seen),
    }
    note = "the calls between the services are made up in the browser"
    what = f"the picture of {_SERVICES} services and {_DEPLOYMENTS} offloaded deployments is painted, slowest visit"
    kilobytes = max(one["bytes"] + one["calls"] for one in seen) / 1000
    return [
        Row(what, pictures[-1], "ms", 1000, more, note),
        Row("cumulative layout shift", max(one["shift"] for one in seen), "", 0),
        Row(
            "transferred by a first visit, the mesh and its calls (compressed, as a server sends them) included",
            kilobytes,
            "kB",
            300,
        ),
    ]
