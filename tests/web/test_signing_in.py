"""Signing in on the page, with a token and at a real issuer; and what those see who may only look."""

import pytest
import pytest_asyncio
from playwright.async_api import expect

import issuer as real
from detour.access import Issuer, IssuerSettings
from web.conftest import mesh_file
from web.in_process import page_of, plane_of, served

pytestmark = pytest.mark.asyncio(loop_scope="session")


@pytest.fixture(scope="module")
def issuer():
    """Run the issuer."""
    if why := real.why_not():
        pytest.skip(why)
    with real.running() as found:
        yield found


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def guarded(tmp_path_factory, issuer):
    """Run a server whose people sign in there."""
    file = mesh_file(tmp_path_factory.mktemp("guarded"))
    settings = IssuerSettings(issuer.url, real.CLIENT)
    async with Issuer(settings) as trusted, plane_of(file) as plane, served(page_of(plane, trusted)) as found:
        yield found


async def test_at_an_issuer(guarded, opening):
    """One comes back to where one wanted to go, is known by name, and can leave."""
    async with opening(guarded, "#/deployments") as page:
        await page.get_by_role("button", name="Sign in with 127.0.0.1").click()
        await page.locator("[name=login]").fill("developer-ada")
        await page.locator("[name=password]").fill("any")
        await page.get_by_role("button", name="Sign-in").click()
        await page.get_by_role("button", name="Continue").click()
        await expect(page.get_by_role("heading", name="Offloaded deployments")).to_be_visible()
        assert page.url == f"{guarded.url}/#/deployments"
        await expect(page.locator("#who")).to_contain_text("developer-ada@example.test")
        await expect(page.get_by_text("Live", exact=True)).to_be_visible()
        await page.get_by_role("button", name="Sign out").click()
        await expect(page.get_by_role("heading", name="Sign in")).to_be_visible()


async def test_with_a_token_to_look_only(guarded, issuer, opening):
    """A wrong one is told; a viewer's shows everything, and no button that would be refused."""
    async with opening(guarded, "#/scenarios") as page:
        await page.get_by_label("API token").fill("detour_0123456789ab_wrong")
        await page.get_by_role("button", name="Sign in with the token").click()
        await expect(page.get_by_text("This API token is invalid or expired")).to_be_visible()
        await page.get_by_label("API token").fill(issuer.id_token("viewer-vic"))
        await page.get_by_role("button", name="Sign in with the token").click()
        await expect(page.get_by_role("heading", name="No scenarios yet")).to_be_visible()
        await expect(page.get_by_role("link", name="New scenario")).to_have_count(0)
        await page.get_by_role("link", name="Deployments").click()
        await expect(page.get_by_role("row").filter(has_text="users@filed")).to_be_visible()
        await expect(page.locator("tbody button")).to_have_count(0)
