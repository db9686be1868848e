"""Scenarios in the page: what people do with them."""

import httpx
import pytest
from playwright.async_api import Page, expect

from web.conftest import save

pytestmark = pytest.mark.asyncio(loop_scope="session")


def saved(client: httpx.Client, name: str) -> dict:
    """Return a scenario as the server has it."""
    return client.get(f"/v1/scenarios/{name}").raise_for_status().json()


async def go(page: Page, place: str) -> None:
    """Go to another place of the page, as a link would."""
    await page.evaluate("place => { location.hash = place }", place)


async def test_a_scenario_from_nothing_to_a_link(page, bo):
    """With completion by the keyboard, words that are pasted, and text that looks like markup."""
    bo.post("/v1/deployments", json={"service": "users", "name": "pr-42", "endpoints": [], "owner": "bo"})
    save(bo, "has-a-flag", {"config.new-checkout": "on"})
    await page.get_by_role("link", name="Scenarios").click()
    await page.get_by_role("link", name="New scenario").first.click()
    await page.get_by_label("Name", exact=True).fill("checkout-redesign")
    await page.get_by_role("button", name="Add an override").click()
    await page.keyboard.type("us")
    await page.keyboard.press("ArrowDown")
    await page.keyboard.press("Enter")
    await page.keyboard.press("Tab")
    await page.keyboard.press("ArrowDown")
    await expect(page.get_by_role("option", name="filed")).to_have_attribute("aria-selected", "true")
    await page.keyboard.type("42")
    await expect(page.get_by_role("listbox").get_by_role("option")).to_have_text(["pr-42bo"])
    await page.keyboard.press("ArrowDown")
    await page.keyboard.press("Tab")
    pasted = page.get_by_label("Type or paste overrides")
    await pasted.fill("delay.payments=300ms config.note='two words' nonsense")
    await pasted.press("Enter")
    await expect(page.get_by_text("“nonsense” is not an override")).to_be_visible()
    await pasted.fill("delay.payments=300ms config.note='two words'")
    await pasted.press("Enter")
    await page.get_by_role("button", name="Add an override").click()
    await page.get_by_label("Kind, override 4").select_option("Set the flag")
    flag = page.get_by_role("combobox", name="Flag, override 4")
    await flag.press("ArrowDown")
    await expect(page.get_by_role("option", name="new-checkout")).to_be_visible()
    await flag.press("Escape")
    await expect(page.get_by_role("listbox")).to_have_count(0)
    await flag.fill("new-checkout")
    await page.get_by_role("combobox", name="Value, override 4").fill("on")
    await page.get_by_label("Description").fill("<img src=x onerror=alert(1)>")
    await page.get_by_label("Expires", exact=True).select_option("never")
    await page.get_by_role("button", name="Save scenario").click()
    await expect(page.get_by_role("link", name="https://checkout-redesign.preview.example.test/")).to_be_visible()
    await expect(page.get_by_role("img", name="QR code of https://checkout-redesign.preview")).to_be_visible()
    await expect(page.get_by_text("detour curl -s checkout-redesign")).to_be_visible()
    made = saved(bo, "checkout-redesign")
    assert made["overrides"] == {
        "route.users": "pr-42",
        "delay.payments": "300ms",
        "config.note": "two words",
        "config.new-checkout": "on",
    }
    assert made["expires"] is None
    await page.get_by_role("link", name="Scenarios").click()
    await expect(page.get_by_text("<img src=x onerror=alert(1)>")).to_be_visible()
    assert await page.locator("main img").count() == 0


async def test_mistakes_are_told_where_they_were_made(page, bo):
    """Before the server is asked, and what it says itself."""
    save(bo, "taken", {"route.users": "pr-1"})
    await go(page, "#/new?payments=a&delay.users=long")
    delay = page.get_by_role("combobox", name="Delay, override 2")
    await expect(delay).to_have_attribute("aria-invalid", "true")
    await expect(page.get_by_text("A delay such as 300ms")).to_be_visible()
    await expect(page.get_by_text("payments has no deployment a at the moment")).to_be_visible()
    await page.get_by_label("Name", exact=True).fill("taken")
    await page.get_by_role("button", name="Save scenario").click()
    await expect(delay).to_be_focused()
    await delay.fill("1s")
    await page.get_by_role("button", name="Save scenario").click()
    await expect(page.get_by_text("a scenario with this name exists")).to_be_visible()
    await expect(page.get_by_label("Name", exact=True)).to_be_focused()
    assert saved(bo, "taken")["version"] == 1


async def test_of_two_who_edit_neither_loses_anything(page, bo):
    """The page tells at once, shows what each did, and puts one on top of the other."""
    save(bo, "shared", {"route.users": "pr-1", "log.users": "debug"}, description="first")
    await go(page, "#/scenarios/shared")
    await page.get_by_label("Description").fill("mine")
    await page.get_by_role("button", name="Remove override 2").click()
    body = {"overrides": {"route.users": "pr-2", "log.users": "debug"}, "description": "first"}
    bo.put("/v1/scenarios/shared?force=true", json=body, headers={"if-match": '"1"'}).raise_for_status()
    notice = page.get_by_role("region", name="Changed by another user")
    await expect(notice).to_contain_text("bo saved version 2")
    await expect(notice.locator(".added")).to_have_text(["added: users=pr-2"])
    await expect(notice.locator(".removed")).to_have_text(["removed: users=pr-1", "removed: log.users=debug"])
    await notice.get_by_role("button", name="Apply my changes to it").click()
    await expect(page.get_by_role("combobox", name="Deployment, override 1")).to_have_value("pr-2")
    await page.get_by_role("button", name="Save", exact=True).click()
    await expect(page.get_by_text("Saved as version 3")).to_be_visible()
    made = saved(bo, "shared")
    assert (made["overrides"], made["description"]) == ({"route.users": "pr-2"}, "mine")


async def test_what_is_not_saved_stays(page, bo):
    """Whoever looks at something else finds it again, and can still throw it away."""
    save(bo, "kept", {"route.users": "pr-1"})
    await go(page, "#/scenarios/kept")
    await page.get_by_label("Description").fill("not yet")
    await go(page, "#/mesh")
    await expect(page.get_by_role("heading", name="Mesh")).to_be_visible()
    await page.go_back()
    await expect(page.get_by_label("Description")).to_have_value("not yet")
    await page.reload()
    await expect(page.get_by_label("Description")).to_have_value("not yet")
    await page.get_by_role("button", name="Discard changes").click()
    await expect(page.get_by_label("Description")).to_have_value("")
    await page.get_by_role("button", name="Undo").click()
    await expect(page.get_by_label("Description")).to_have_value("not yet")


async def test_an_old_version_comes_back(page, bo):
    """The history says who changed what, and makes any version the next one."""
    save(bo, "storied", {"route.users": "pr-1"})
    body = {"overrides": {"route.users": "pr-2"}}
    bo.put("/v1/scenarios/storied?force=true", json=body, headers={"if-match": '"1"'}).raise_for_status()
    await go(page, "#/scenarios/storied/history")
    last = page.locator(".versions > li").first
    await expect(last).to_contain_text("bo changed it")
    await expect(last.locator(".added")).to_have_text(["added: users=pr-2"])
    await page.get_by_role("button", name="Restore version 1").click()
    await page.get_by_role("button", name="Save", exact=True).click()
    await expect(page.get_by_text("users=pr-1: users has no deployment pr-1")).to_be_visible()
    await page.get_by_role("button", name="Save anyway").click()
    await expect(page.get_by_text("Saved as version 3")).to_be_visible()
    assert saved(bo, "storied")["overrides"] == {"route.users": "pr-1"}


async def test_removing_asks_once_and_can_be_undone(page, bo):
    """The versions go on counting."""
    save(bo, "short-lived", {"route.users": "pr-1"})
    await go(page, "#/scenarios/short-lived")
    await page.get_by_role("button", name="Remove…").click()
    await expect(page.get_by_text("It belongs to bo. Remove it?")).to_be_visible()
    await expect(page.get_by_role("button", name="Keep")).to_be_focused()
    await page.get_by_role("button", name="Remove", exact=True).click()
    await expect(page.get_by_text("short-lived was removed")).to_be_visible()
    await expect(page.get_by_role("link", name="short-lived")).to_have_count(0)
    await page.get_by_role("button", name="Undo").click()
    await expect(page.get_by_role("link", name="short-lived")).to_be_visible()
    assert (saved(bo, "short-lived")["state"], saved(bo, "short-lived")["version"]) == ("live", 3)


async def test_finding_one(page, bo):
    """By any of its words, and by its state."""
    save(bo, "needle", {"config.hay": "stack"}, description="a needle")
    save(bo, "bygone", {"route.users": "pr-1"}, expires="2020-01-01T00:00:00Z")
    await go(page, "#/scenarios")
    await page.get_by_label("Search scenarios").fill("bo stack")
    await expect(page.locator("td.name a")).to_have_text(["needle"])
    await page.get_by_label("Search scenarios").fill("")
    await page.get_by_role("link", name="Expired").click()
    await page.get_by_role("link", name="bygone").click()
    await expect(page.get_by_text("This scenario expired on")).to_be_visible()
    await expect(page.get_by_text("This scenario has expired")).to_be_visible()
