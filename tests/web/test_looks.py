"""How the page is to eyes, ears and fingers: axe, in light and dark, on a desk and on a phone."""

import pytest
from axe_playwright_python.async_playwright import Axe
from playwright.async_api import expect

from web.conftest import save

pytestmark = pytest.mark.asyncio(loop_scope="session")

PLACES = ("mesh", "mesh/users", "scenarios?state=all", "scenarios/looked-at", "scenarios/looked-at/try")
PLACES += ("scenarios/looked-at/history", "new", "deployments", "changes", "nowhere")
SCREENS = {"desk": {"width": 1440, "height": 900}, "phone": {"width": 390, "height": 844}}


@pytest.fixture(scope="module")
def looked_at(server):
    """Save a scenario with a row of each kind."""
    import httpx

    kinds = {"route.users": "filed", "delay.payments": "1s", "abort.search": "503", "config.new": "on"}
    kinds |= {"log.users": "debug", "db.users": "copy", "missing": "baseline"}
    with httpx.Client(base_url=server.url, headers={"x-detour-user": "bo"}, trust_env=False) as client:
        save(client, "looked-at", kinds, description="all of it")


@pytest.mark.parametrize(("screen", "colours"), [("desk", "light"), ("phone", "dark")])
async def test_nothing_serious_is_found(server, looked_at, opening, screen, colours):
    """No serious finding anywhere, and nothing that is wider than the window."""
    found = []
    async with opening(server, color_scheme=colours, viewport=SCREENS[screen]) as page:
        for place in PLACES:
            await page.evaluate("place => { location.hash = `#/${place}` }", place)
            await expect(page.locator("main [aria-busy]")).to_have_count(0)
            await expect(page.locator("main h1")).to_have_count(1)
            said = (await Axe().run(page)).response["violations"]
            serious = [one for one in said if one["impact"] in {"serious", "critical"}]
            found += [(place, one["id"], one["nodes"][0]["html"]) for one in serious]
            if await page.evaluate("document.documentElement.scrollWidth > innerWidth"):
                found.append((place, "wider than the window", ""))
    assert found == []


async def test_the_theme_is_a_persons_choice(server, opening):
    """It is kept, and beats what the system says."""
    async with opening(server, color_scheme="light") as page:
        for _ in range(2):
            await page.get_by_role("button", name="Colours").click()
        await page.reload()
        await page.get_by_role("button", name="Colours: dark").wait_for()
        ground = await page.evaluate("getComputedStyle(document.body).backgroundColor")
        assert ground == "rgb(14, 20, 19)"
