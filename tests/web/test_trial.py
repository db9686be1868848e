"""Trying a request in the page, on a real edge with real sidecars and instances behind it."""

import asyncio

import httpx
import pytest
from axe_playwright_python.async_playwright import Axe
from playwright.async_api import Page, expect

from web.staging import HOST, Staging

pytestmark = pytest.mark.asyncio(loop_scope="session")


async def attempt(page: Page, path: str) -> None:
    """Send a request from the form."""
    await page.get_by_label("Path").fill(path)
    await page.get_by_text("Host, headers, body").click()
    await page.get_by_label("Host", exact=True).fill(HOST)
    await page.get_by_role("button", name="Try it").click()


async def is_known(staging: Staging, scenario: str) -> None:
    """Wait until the edge knows a scenario."""
    async with asyncio.timeout(20):
        while (await staging.edge.get("/users/me", headers={"x-detour-scenario": scenario})).status_code == 404:
            await asyncio.sleep(0.01)


async def test_a_scenario_is_tried(staging, opening):
    """Each hop says who answered it, in words; on a phone all of it is there too, and nothing serious is found."""
    async with httpx.AsyncClient(base_url=staging.url, trust_env=False) as http:
        body = {"overrides": {"route.users": "pr-42"}}
        (
            await http.put("/v1/scenarios/tried?force=true", json=body, headers={"if-none-match": "*"})
        ).raise_for_status()
    await is_known(staging, "tried")
    async with opening(staging, "#/scenarios/tried/try", viewport={"width": 390, "height": 844}) as page:
        await expect(page.get_by_text("A request in the saved scenario, with its 1 override.")).to_be_visible()
        await attempt(page, "/users/me")
        await expect(page.get_by_role("status").filter(has_text="2 hops")).to_be_visible()
        hops = page.get_by_role("region", name="Hops").locator("tbody tr")
        await expect(hops).to_contain_text(
            ["level 1: webGET /users/mebaseline200", "level 2: usersGET /mepr-42200"]
        )
        await expect(page.get_by_role("region", name="Response body")).to_contain_text("offloaded-1")
        assert await page.locator(".hops").evaluate("table => table.scrollWidth <= table.parentElement.clientWidth")
        found = (await Axe().run(page)).response["violations"]
        assert [one["id"] for one in found if one["impact"] in {"serious", "critical"}] == []


async def test_a_draft_is_tried_as_it_stands(staging, opening):
    """What was never called is said, and what was called in vain, and by whose fault."""
    async with opening(staging, "#/new?users=pr-42&payments=pr-1") as page:
        await expect(page.get_by_text("A request with the 2 overrides of the form")).to_be_visible()
        await attempt(page, "/users/me")
        hops = page.get_by_role("region", name="Hops").locator("tbody tr")
        await expect(hops.nth(1)).to_contain_text("pr-42200")
        missed = page.locator(".trial-result .notice")
        await expect(missed).to_have_text(
            [
                "payments=pr-1: payments has no deployment pr-1: it has none",
                "payments@pr-1 was not called: no hop of this request went to payments.",
            ]
        )
        await page.get_by_role("button", name="Remove override 2").click()
        await page.get_by_role("combobox", name="Deployment, override 1").fill("gone")
        await page.get_by_role("button", name="Try it").click()
        await expect(missed).to_have_text(
            [
                "users=gone: users has no deployment gone: it has pr-42",
                "users@gone was called and did not answer: no instance is ready.",
            ]
        )
        await expect(hops.nth(1)).to_contain_text("no instance is readyno instance503")


async def test_a_refusal_is_told_beside_the_request(staging, opening):
    """With what to put where; when that is done, the same request goes through."""
    async with opening(staging, "#/new?users=pr-42") as page:
        edge = staging.plane.mesh.settings.edge_url
        await staging.say_where_the_edge_is("")
        await attempt(page, "/users/me")
        await expect(page.locator(".aside").get_by_role("alert")).to_contain_text(
            "the mesh file has no address of an edge"
        )
        await staging.say_where_the_edge_is(edge)
        await page.get_by_role("button", name="Try it").click()
        await expect(page.get_by_role("status").filter(has_text="2 hops")).to_be_visible()
        await expect(page.locator(".aside").get_by_role("alert")).to_have_count(0)
