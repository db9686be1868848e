"""The kill switch on the page."""

import pytest
from playwright.async_api import expect

pytestmark = pytest.mark.asyncio(loop_scope="session")


async def test_overrides_are_switched_off_and_on_where_everybody_sees_it(page, bo):
    """Whoever has the page open is told at once, by whom and why."""
    page.on("dialog", lambda dialog: dialog.accept("incident 12"))
    try:
        await page.get_by_role("button", name="Switch overrides off").click()
        banner = page.locator("#switch")
        await expect(banner).to_contain_text("Overrides are switched off by")
        await expect(banner).to_contain_text("incident 12")
        assert bo.get("/v1/overrides").json()["state"] == "off"
        bo.put("/v1/overrides", json={"state": "on"})
        await expect(banner).not_to_contain_text("Overrides are switched off by")
    finally:
        bo.put("/v1/overrides", json={"state": "on"})
