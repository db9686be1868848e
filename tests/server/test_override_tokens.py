"""Override tokens through the API, and their keys on several servers."""

import asyncio
from datetime import UTC, datetime, timedelta

import httpx
import jwt
import pytest

from databases import database_url, new_url, postgresql_server
from detour.access.keys import Times
from detour.database import Database
from detour.server.api import api
from detour.server.followed_database import FollowedDatabase
from detour.server.keyring import KeyRing
from server.conftest import control_plane

__all__ = ["database_url", "new_url", "postgresql_server"]


async def test_a_token_is_issued(http, plane):
    """To the caller, with the requested life and the name of its header; edges have its key."""
    plane.in_force.refresh()
    answer = await http.post("/v1/override-tokens", json={"ttl": "90s"}, headers={"x-detour-user": "ana"})
    assert answer.status_code == 201
    assert answer.json()["header"] == "x-detour-token"
    claims = jwt.decode(answer.json()["token"], options={"verify_signature": False})
    assert (claims["sub"], claims["exp"] - claims["iat"]) == ("ana", 90)
    assert datetime.fromisoformat(answer.json()["expires"]) == datetime.fromtimestamp(claims["exp"], UTC)
    assert jwt.get_unverified_header(answer.json()["token"])["kid"] in {key.name for key in plane.mesh.keys}


@pytest.mark.parametrize("ttl", ["0s", "61m", "2h", "1d", "500ms", "x", ""])
async def test_an_invalid_life_is_refused(http, ttl):
    """The error says what is valid."""
    answer = await http.post("/v1/override-tokens", json={"ttl": ttl})
    assert (answer.status_code, answer.json()["detail"][:5]) == (422, "ttl: ")


async def test_without_a_database(mesh_file, registry):
    """The server has no keys; it says so, and edges accept no overrides from outside."""
    plane = control_plane(mesh_file, registry)
    async with httpx.AsyncClient(transport=httpx.ASGITransport(api(plane)), base_url="http://localhost") as http:
        answer = await http.post("/v1/override-tokens", json={})
    assert answer.status_code == 501
    assert "--database" in answer.json()["detail"]
    assert plane.mesh.keys is None
    await plane.ads.stop()


async def test_servers_have_the_same_keys(database_url):
    """Also keys that another server creates later, without a request."""
    times = Times(period=timedelta(seconds=1), ahead=timedelta(seconds=0.5))
    with Database(database_url) as first_database, Database(database_url) as second_database:
        records = [FollowedDatabase(first_database), FollowedDatabase(second_database)]
        first = await asyncio.to_thread(KeyRing, records[0], times)
        second = await asyncio.to_thread(KeyRing, records[1])
        now = datetime.now(UTC)
        assert first.signer.public(now) == second.signer.public(now)
        async with asyncio.timeout(30), asyncio.TaskGroup() as tasks:
            following = [tasks.create_task(first.follow(0.01)), tasks.create_task(records[1].follow())]
            while len(second.signer.public(now)) < 3:
                await asyncio.sleep(0.01)
            for one in following:
                one.cancel()
        made, received = [{one.name for one in ring.signer.public(now)} for ring in (first, second)]
        assert made >= received
