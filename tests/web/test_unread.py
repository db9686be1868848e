"""The page does not offer overrides that can have no effect, and names the ports that others do not affect."""

import pytest
from playwright.async_api import expect

from detour.scenarios import NoScenarioError
from partly_read import WARNING, partly_read_plane
from web.in_process import page_of, served
from web.test_scenarios import go

pytestmark = pytest.mark.asyncio(loop_scope="session")


async def test_the_editor_refuses_and_warns(tmp_path, opening):
    """At the override, before anything is saved; a warning does not keep from saving."""
    async with (
        partly_read_plane(tmp_path) as plane,
        served(page_of(plane)) as server,
        opening(server) as page,
    ):
        await expect(page.get_by_text("3 services")).to_be_visible()
        await go(page, "#/new?both=filed&delay.db=1s")
        await expect(page.get_by_text(WARNING)).to_be_visible()
        service = page.get_by_role("combobox", name="Service, override 2")
        await expect(service).to_have_attribute("aria-invalid", "true")
        await expect(page.get_by_text("db has protocol tcp at port 5432")).to_be_visible()
        await page.get_by_label("Name", exact=True).fill("checkout")
        await page.get_by_role("button", name="Save scenario").click()
        await expect(service).to_be_focused()
        with pytest.raises(NoScenarioError):
            plane.scenarios.get("checkout")
        await page.get_by_role("button", name="Remove override 2, db").click()
        await page.get_by_role("button", name="Save scenario").click()
        await expect(page.get_by_text("checkout is saved.")).to_be_visible()


async def test_the_panel_says_what_overrides_affect(tmp_path, opening):
    """Instead of how to register a deployment, where none can be."""
    async with partly_read_plane(tmp_path) as plane, served(page_of(plane)) as server:
        for name, warning, command in (
            ("db", "db has protocol tcp at port 5432", 0),
            ("both", WARNING, 0),
            ("users", "To register one:", 1),
        ):
            async with opening(server, f"#/mesh/{name}") as page:
                panel = page.get_by_role("complementary", name=name)
                await expect(panel.get_by_text(warning)).to_be_visible()
                await expect(panel.get_by_text("detour offload add")).to_have_count(command)
                await expect(panel.get_by_role("button", name="Delay its calls")).to_have_count(int(name != "db"))
