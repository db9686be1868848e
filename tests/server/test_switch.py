"""The kill switch: its permissions, its effect on the mesh, and its storage."""

import asyncio
from datetime import UTC, datetime

import pytest

from detour.access import Role
from detour.server.followed_database import FollowedDatabase
from detour.server.switch import DatabaseSwitch, FileSwitch, SwitchPosition
from server.test_identities import client, guarded, token_for

__all__ = ["guarded"]

OFF = {"state": "off", "reason": "incident 12"}


async def test_an_admin_switches_overrides_off_and_on(plane, guarded):
    """The mesh changes at once, with user and reason; so do the log of changes and the metrics."""
    async with client(guarded, await token_for(guarded, "anna", Role.ADMIN)) as http:
        assert (await http.get("/v1/overrides")).json() == {"state": "on", "reason": "", "by": "", "since": None}
        with plane.events.subscribed() as events:
            made = (await http.put("/v1/overrides", json=OFF)).json()
            assert (made["state"], made["reason"], made["by"]) == ("off", "incident 12", "anna")
            assert "overrides" in {one.kind for one in await events.next(5)}
        assert plane.mesh.settings.overrides_off.startswith("overrides are switched off by anna since ")
        assert plane.mesh.settings.overrides_off.endswith(": incident 12")
        assert (await http.get("/v1/status")).json()["overrides"] == made
        assert "detour_overrides_off 1.0" in (await http.get("/metrics")).text
        (change, *_) = (await http.get("/v1/changes")).json()["items"]
        shown = [change[key] for key in ("who", "action", "kind", "subject")]
        assert shown == ["anna", "switched off", "overrides", "incident 12"]
        await http.put("/v1/overrides", json={"state": "on"})
        assert plane.mesh.settings.overrides_off == ""


@pytest.mark.parametrize("role", [Role.VIEWER, Role.DEVELOPER])
async def test_others_may_only_read_the_switch(plane, guarded, role):
    """It affects all users."""
    async with client(guarded, await token_for(guarded, "dev", role)) as http:
        assert (await http.put("/v1/overrides", json=OFF)).status_code == 403
        assert (await http.get("/v1/overrides")).json()["state"] == "on"


async def test_a_reason_is_one_line(guarded):
    """Because it is sent in a header."""
    async with client(guarded, await token_for(guarded, "anna", Role.ADMIN)) as http:
        answer = await http.put("/v1/overrides", json={"state": "off", "reason": "a\r\nb"})
        assert answer.status_code == 422


async def test_the_database_stores_the_switch_for_every_server(database):
    """For servers that start later, and for running ones, which follow the log."""
    here, there = FollowedDatabase(database), FollowedDatabase(database)
    mine, others = DatabaseSwitch(here), DatabaseSwitch(there)
    following = asyncio.create_task(there.follow())
    await mine.switch(is_off=True, reason="", by="anna")
    assert DatabaseSwitch(FollowedDatabase(database)).state.is_off
    async with asyncio.timeout(5):
        while not others.state.is_off:
            await asyncio.sleep(0.02)
    following.cancel()
    assert (others.state.by, others.state.reason) == ("anna", "")


async def test_a_file_stores_the_switch(tmp_path):
    """Without a database; a corrupt file is an error, and is not taken as on."""
    path = tmp_path / "state.db.overrides"
    await FileSwitch(path).switch(is_off=True, reason="why", by="anna")
    found = FileSwitch(path).state
    assert (found.is_off, found.reason, found.by) == (True, "why", "anna")
    path.write_text("{}")
    with pytest.raises(OSError, match="correct the file, or remove it"):
        FileSwitch(path)


def test_the_explanation_fits_into_a_header():
    """Whatever the reason contains."""
    at = datetime(2026, 11, 30, 14, 3, tzinfo=UTC)
    assert SwitchPosition(True, "grün", "ana", at).explanation == (
        "overrides are switched off by ana since 2026-11-30 14:03 UTC: gr?n"
    )
    assert SwitchPosition(False, "done", "ana", at).explanation == ""
