"""The picture of calls that real Envoys reported."""

import pytest
from playwright.async_api import expect

from detour.overrides import Kind, Override, Overrides

pytestmark = pytest.mark.asyncio(loop_scope="session")


async def test_calls_are_drawn_while_they_happen(staging, opening):
    """To a service, to what runs beside it, and which of them failed; in the picture and in words."""
    signed = staging.plane.trials.headers_for(Overrides.collect([Override(Kind.ROUTE, "search", "pr-9")]))
    async with opening(staging) as page:
        await expect(page.get_by_role("button", name="search 1 instance pr-9")).to_be_visible()
        for path, headers in (("/search/a", {}), ("/search/broken", {}), ("/search/a", signed)):
            await staging.edge.get(path, headers=headers)
        search = page.get_by_role("button", name="search, 1 instance, offloaded: pr-9, 3 calls in the last minute")
        await expect(search).to_be_visible()
        await expect(page.get_by_role("button", name="edge", exact=True)).to_be_visible()
        await expect(page.locator(".chip").filter(has_text="pr-9")).to_contain_text("1/min")
        await expect(page.locator(".call.off")).not_to_have_count(0)
        await expect(page.locator(".call .errors")).not_to_have_count(0)
        await page.get_by_role("button", name="Table").click()
        row = page.get_by_role("row").filter(has=page.get_by_role("button", name="search"))
        await expect(row).to_contain_text("50 % errors")
        await expect(row).to_contain_text("web")
        await row.get_by_role("button", name="search").click()
        panel = page.get_by_role("complementary", name="search")
        await expect(panel.get_by_role("listitem").filter(has_text="web→pr-9")).to_contain_text("1/min")
