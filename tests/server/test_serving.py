"""The server's HTTP side on a real socket."""

import asyncio
import json
import logging
import socket

import pytest

from detour.server.api import api
from detour.server.serving import _config, _Http, serve
from detour.server.sockets import Addresses, bind


async def ask(port: int, request: bytes) -> tuple[bytes, bytes]:
    """Send a request unchanged; return the head and the body of the response."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(request)
    answer = await reader.read()
    writer.close()
    await writer.wait_closed()
    head, _, body = answer.partition(b"\r\n\r\n")
    return head, body


async def test_tracebacks_are_only_in_the_log(plane, caplog):
    """The client receives problem details without them."""
    plane.in_force._mesh = None
    with bind("127.0.0.1:0", "the API") as listening:
        http = _Http(_config(api(plane)))
        serving = asyncio.create_task(http.serve([listening]))
        port = listening.getsockname()[1]
        head, body = await ask(port, b"GET /v1/services HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
        http.should_exit = True
        await serving
    assert head.startswith(b"HTTP/1.1 500 ")
    assert json.loads(body)["detail"] == "the server failed to handle GET /v1/services; its log has the reason"
    (record,) = [one for one in caplog.records if one.levelno >= logging.ERROR]
    assert record.name == "uvicorn.error"
    assert "AttributeError" in caplog.text
    assert "Traceback" in caplog.text


@pytest.mark.parametrize(
    "address", ["", "80", ":80", "127.0.0.1", "127.0.0.1:", "127.0.0.1:65536", "::1:80", "a:b:1"]
)
@pytest.mark.parametrize("which", ["xds", "api"])
async def test_an_invalid_address_is_an_error(mesh_file, state, which, address):
    """Before anything is served."""
    addresses = Addresses(**{"xds": "127.0.0.1:0", "api": "127.0.0.1:0", which: address})
    with pytest.raises(OSError, match=r"cannot listen on '.*' for (xDS|the API): expected ip:port"):
        await serve(mesh_file, state, addresses, lambda _: None)


def has_ipv6() -> bool:
    """Return whether this machine has the IPv6 loopback address; many containers lack it."""
    try:
        with socket.create_server(("::1", 0), family=socket.AF_INET6):
            return True
    except OSError:
        return False


@pytest.mark.skipif(not has_ipv6(), reason="this machine has no IPv6")
async def test_ipv6(mesh_file, state):
    """Reported addresses are those that were given, with the chosen port."""
    reported = []

    def ready(at: Addresses) -> None:
        reported.append(at)
        raise RuntimeError("enough")

    with pytest.raises(ExceptionGroup):
        await serve(mesh_file, state, Addresses("[::1]:0", "[::1]:0"), ready)
    (at,) = reported
    assert at.xds.startswith("[::1]:")
    assert int(at.api.removeprefix("[::1]:")) > 0
