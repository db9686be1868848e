"""The mesh in the page: pictures, tables, panels; and what runs beside the baselines."""

from contextlib import AsyncExitStack

import pytest
from playwright.async_api import expect

from web.conftest import MESH, mesh_file
from web.in_process import page_of, plane_of, served, until

pytestmark = pytest.mark.asyncio(loop_scope="session")

# A mesh of layers, with a cycle, somebody whom nobody calls, and a service that calls itself.
LAYOUT = """async () => {
  const app = document.querySelector("script[type=module]").src;
  const { layout } = await import(app.replace("app.js", "layout.js"));
  const names = ["edge", ...Array.from({ length: 200 }, (_, number) => `s${number}`)];
  const boxes = names.map((id, number) => ({ id, along: 186, across: 46 + 28 * (number % 4) }));
  const pairs = [["edge", "s0"], ["s5", "s5"], ["s199", "s198"]];
  for (let number = 1; number < 199; number += 1) {
    for (const share of [3, 7]) pairs.push([`s${Math.floor(number / share)}`, `s${number}`]);
  }
  const gaps = { along: 84, across: 22, passage: 5 };
  const began = performance.now();
  const laid = layout(boxes, [...pairs, ["s150", "s2"]], gaps);
  const took = performance.now() - began;
  const again = layout(boxes, [...pairs, ["s150", "s2"]], gaps);
  const placed = boxes.map((box) => ({ ...box, at: laid.places.get(box.id) }));
  const meet = (one, other, way) =>
    one.at[way] < other.at[way] + other[way] && other.at[way] < one.at[way] + one[way];
  const overlaps = placed.flatMap((one, index) =>
    placed.slice(index + 1).filter((other) => meet(one, other, "along") && meet(one, other, "across")));
  const backward = ({ places }) => pairs.filter(([from, to]) =>
    from !== to && places.get(from).along >= places.get(to).along).length;
  return {
    took,
    overlaps: overlaps.length,
    inCycles: backward(laid),
    ofNone: backward(layout(boxes, pairs, gaps)),
    isSame: JSON.stringify([...laid.places]) === JSON.stringify([...again.places]),
  };
}"""


async def test_the_layout_of_a_large_mesh(page):
    """Callers stand before those that they call, but for cycles; nothing overlaps; it is always the same."""
    found = await page.evaluate(LAYOUT)
    assert found["overlaps"] == 0
    assert found["isSame"]
    assert found["ofNone"] == 0
    assert found["inCycles"] < 5
    assert found["took"] < 500


async def test_from_a_service_to_an_override(page, bo):
    """With the keyboard alone: find it, look at it, add what runs beside it to a scenario, come back."""
    bo.post(
        "/v1/deployments", json={"service": "users", "name": "pr-7", "endpoints": ["127.0.0.1:1"], "owner": "bo"}
    )
    find = page.get_by_label("Find a service")
    await find.fill("user")
    await find.press("Enter")
    panel = page.get_by_role("complementary", name="users")
    await expect(panel.get_by_role("heading", name="users")).to_be_focused()
    await expect(panel).to_contain_text("2 instances")
    await panel.get_by_role("button", name="Override users with pr-7").press("Enter")
    await panel.get_by_role("button", name="Delay its calls").press("Enter")
    await expect(page.get_by_text("which now has 2 overrides")).to_be_visible()
    await page.keyboard.press("Escape")
    await expect(panel).to_be_hidden()
    await expect(page.get_by_role("button", name="users", pressed=False)).to_be_focused()
    await page.get_by_role("link", name="Open it").last.press("Enter")
    await expect(page.get_by_role("combobox", name="Deployment, override 1")).to_have_value("pr-7")
    await expect(page.get_by_role("combobox", name="Delay, override 2")).to_have_value("300ms")


async def test_the_same_as_a_table(page):
    """For those who don't see pictures; what is wrong stands in words."""
    await page.get_by_role("button", name="Table").click()
    row = page.get_by_role("row").filter(has=page.get_by_role("button", name="search"))
    await expect(row).to_contain_text("no instances")
    row = page.get_by_role("row").filter(has=page.get_by_role("button", name="users"))
    await expect(row).to_contain_text("filed")
    await row.get_by_role("button", name="users").click()
    await expect(page.get_by_role("complementary", name="users")).to_be_visible()


async def test_deployments_are_extended_and_removed(page, bo):
    """What the mesh file names is changed there; removing asks once."""
    made = {"service": "payments", "name": "retry", "endpoints": ["127.0.0.1:1"], "owner": "bo", "ttl": "1h"}
    await page.get_by_role("link", name="Deployments").click()
    bo.post("/v1/deployments", json=made).raise_for_status()
    row = page.get_by_role("row").filter(has_text="payments@retry")
    await expect(row).to_contain_text("bo")
    await page.get_by_label("Extend payments@retry").select_option("to 7 days from now")
    await expect(row).to_contain_text("in 7 days")
    await row.get_by_role("button", name="Remove").click()
    await expect(row).to_contain_text("It belongs to bo. Remove it?")
    await row.get_by_role("button", name="Confirm").click()
    await expect(row).to_have_count(0)
    assert bo.get("/v1/deployments/payments/retry").status_code == 404
    await expect(page.get_by_role("row").filter(has_text="users@filed")).to_contain_text("in the mesh file")
    await page.get_by_role("link", name="Changes").click()
    entry = page.get_by_role("listitem").filter(has_text="removed deployment payments@retry")
    await expect(entry).to_be_visible()


async def test_live_through_a_broken_mesh_file_and_a_restart(tmp_path, opening):
    """A mistake is shown while it lasts; when the server is back, so is the page."""
    file = mesh_file(tmp_path)
    async with plane_of(file) as plane, AsyncExitStack() as first:
        app = page_of(plane)
        server = await first.enter_async_context(served(app))
        async with opening(server) as page:
            await expect(page.get_by_role("button", name="payments")).to_be_visible()
            await expect(page.get_by_text("Live", exact=True)).to_be_visible()
            file.write_text("services: nonsense\n")
            await until(lambda: plane.sources[0].problem is not None)
            await page.reload()
            await expect(page.get_by_text("The mesh file has an error")).to_be_visible()
            file.write_text(MESH + "  receipts: {endpoints: [127.0.0.1:9004]}\n")
            await expect(page.get_by_role("button", name="receipts")).to_be_visible()
            await expect(page.get_by_text("The mesh file has an error")).to_have_count(0)
            await first.aclose()
            await expect(page.get_by_text("Reconnecting…")).to_be_visible()
            file.write_text(MESH + "  late: {endpoints: [127.0.0.1:9004]}\n")
            async with served(app, server.port):
                await expect(page.get_by_role("button", name="late")).to_be_visible()
                await expect(page.get_by_text("Live", exact=True)).to_be_visible()
