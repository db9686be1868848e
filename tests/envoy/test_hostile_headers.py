"""Hostile headers through a real Envoy: each request goes where the Python reader says, and nothing breaks."""

import asyncio
import re
from collections import Counter
from pathlib import Path
from random import Random

import hostile
from detour.mesh import Carrier, Settings, SettingsApplied
from detour.overrides import Kind, Parsed, parse_baggage, parse_opentracing
from detour.xds import route_parts
from parts import Client, MeshUnderTest

REQUESTS = 10_000
CONNECTIONS = 8
ENCODED = re.compile(route_parts.ENCODED.replace(r"\C", ".").encode(), re.DOTALL)
DEPLOYMENTS = ("pr-42", "a", "A.b_c-1", "0", "x" * 63)


class Connection:
    """A keep-alive connection that sends header bytes as they are: no client library would."""

    def __init__(self, port: int) -> None:
        self._port = port
        self._streams: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None

    async def get(self, lines: list[bytes]) -> tuple[int, str]:
        """Return the status, and who served the request."""
        if self._streams is None:
            self._streams = await asyncio.open_connection("127.0.0.1", self._port)
        reader, writer = self._streams
        writer.write(b"\r\n".join([b"GET / HTTP/1.1", b"host: users", *lines, b"", b""]))
        head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").lower()
        headers = dict(line.split(": ", 1) for line in head.split("\r\n")[1:] if line)
        await reader.readexactly(int(headers["content-length"]))
        if headers.get("connection") == "close":
            await self.close()
        return int(head.split()[1]), headers.get("x-detour-served-by", "")

    async def close(self) -> None:
        """Close the connection."""
        if self._streams:
            self._streams[1].close()
            await self._streams[1].wait_closed()
            self._streams = None


def request(rng: Random) -> tuple[list[bytes], Parsed]:
    """Return header lines and what the Python reader makes of them."""
    lines, header = hostile.baggage(rng), hostile.opentracing(rng) if rng.random() < 0.3 else ""
    parsed = parse_baggage(lines).over(parse_opentracing(header))
    sent = [b"baggage: " + line.encode("latin-1") for line in lines]
    return sent + ([b"x-ot-span-context: " + header.encode("latin-1")] if header else []), parsed


def expected(parsed: Parsed, lines: list[bytes]) -> tuple[int, str]:
    """Return the status and the name of who serves a request with these overrides, if there is any to be told."""
    overrides = parsed.overrides
    told = any(b"override." in line or line.startswith(b"x-ot-") for line in lines)
    told = told or ENCODED.fullmatch(b",".join(line.removeprefix(b"baggage:").strip() for line in lines))
    if parsed.unreadable_for("users"):
        return 400, ""
    if (abort := overrides.value(Kind.ABORT, "users")) and int(abort) >= 200:
        return int(abort), ""
    deployment = overrides.route("users")
    if deployment is None:
        return 200, "users" if told else ""
    if deployment in DEPLOYMENTS:
        return 200, f"users@{deployment}".lower()
    return (200, "users") if overrides.falls_back else (503, f"users@{deployment}".lower())


async def test_every_request_goes_where_the_python_reader_says(mesh: MeshUnderTest, caller: Client) -> None:
    """No error that an override did not ask for, no deployment that it did not name, no fault of a Lua."""
    for name in DEPLOYMENTS:
        mesh.register("users", name, *mesh.ads.mesh.deployment("users", "pr-42").endpoints)
    mesh.apply(SettingsApplied(Settings((Carrier.BAGGAGE, Carrier.OPENTRACING))))
    rng, seen = Random(20_26), Counter()

    async def send(count: int) -> None:
        connection = Connection(caller.port)
        while count:
            lines, parsed = request(rng)
            if parsed.overrides.value(Kind.DELAY, "users"):
                continue
            answer = await connection.get(lines)
            assert answer == expected(parsed, lines), lines
            seen[answer] += 1
            count -= 1
        await connection.close()

    probe = [b"x-ot-span-context: " + hostile.written("pr-42").encode()]
    connection = Connection(caller.port)
    async with asyncio.timeout(20):
        while (await connection.get(probe))[1] != "users@pr-42":
            pass
    await connection.close()
    async with asyncio.timeout(200), asyncio.TaskGroup() as tasks:
        for _ in range(CONNECTIONS):
            tasks.create_task(send(REQUESTS // CONNECTIONS))
    assert seen.total() == REQUESTS
    assert seen[200, "users"] > REQUESTS // 10
    assert seen[200, "users@pr-42"] > REQUESTS // 40
    assert seen[400, ""] > REQUESTS // 10
    log = Path(mesh.logs / f"{caller.settings.instance}.log").read_text()
    assert "script log" not in log
    assert "lua" not in log.lower()
