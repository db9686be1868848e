"""One client in Python: reads requests as JSON lines, sends them with the given library, writes answers.

    python client.py LIBRARY CONCURRENCY

A request has `id`, `port`, `url`, `headers`, and `proxied`: whether the port is a proxy's or the server's own. An
answer has `id`, and `status` with `body`, or `error`; the error `refused` means that the port is closed.
"""

import asyncio
import json
import subprocess
import sys
from collections.abc import Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import AsyncExitStack
from functools import cache
from typing import Any

Json = dict[str, Any]

_SECONDS = 30


def _address(request: Json) -> str:
    return f"http://127.0.0.1:{request['port']}"


def _target(request: Json) -> str:
    url: str = request["url"]
    return url if request["proxied"] else _address(request) + url


def by_requests() -> Callable[[Json], Json]:
    """Send with requests, which keeps cookies for a session: a new one for each link."""
    import requests  # noqa: PLC0415  only this client needs it

    kept = requests.Session()
    kept.trust_env = False

    def send(request: Json) -> Json:
        session = kept
        if "detour=" in request["url"]:
            session = requests.Session()
            session.trust_env = False
        proxies = {"http": _address(request)} if request["proxied"] else {}
        answer = session.get(_target(request), headers=request["headers"], proxies=proxies, timeout=_SECONDS)
        return {"status": answer.status_code, "body": answer.text}

    return send


def by_urllib3() -> Callable[[Json], Json]:
    """Send with urllib3, which has no cookies."""
    import urllib3  # noqa: PLC0415  as above

    direct = urllib3.PoolManager(maxsize=16, retries=False)
    proxied = cache(lambda address: urllib3.ProxyManager(address, maxsize=16, retries=False))

    def send(request: Json) -> Json:
        pool = proxied(_address(request)) if request["proxied"] else direct
        answer = pool.request("GET", _target(request), headers=request["headers"], timeout=_SECONDS)
        return {"status": answer.status, "body": answer.data.decode()}

    return send


def by_curl() -> Callable[[Json], Json]:
    """Send with curl, a new one for each request; links as `curl -sL` follows them, without cookies."""

    def send(request: Json) -> Json:
        command = ["curl", "-sSL", "--max-time", str(_SECONDS), "-w", "\n%{http_code}"]
        command += [part for name, value in request["headers"].items() for part in ("-H", f"{name}: {value}")]
        command += ["--proxy", _address(request)] if request["proxied"] else ["--noproxy", "*"]
        done = subprocess.run([*command, _target(request)], capture_output=True, text=True, check=False)
        if done.returncode:
            return {"error": "refused" if done.returncode == 7 else done.stderr.strip()}
        body, _, status = done.stdout.rpartition("\n")
        return {"status": int(status), "body": body}

    return send


async def by_aiohttp(stack: AsyncExitStack) -> Callable[[Json], Awaitable[Json]]:
    """Send with aiohttp, without cookies."""
    import aiohttp  # noqa: PLC0415  as above

    session = await stack.enter_async_context(aiohttp.ClientSession(cookie_jar=aiohttp.DummyCookieJar()))

    async def send(request: Json) -> Json:
        proxy = _address(request) if request["proxied"] else None
        limit = aiohttp.ClientTimeout(_SECONDS)
        async with session.get(_target(request), headers=request["headers"], proxy=proxy, timeout=limit) as answer:
            return {"status": answer.status, "body": await answer.text()}

    return send


async def by_httpx(_stack: AsyncExitStack) -> Callable[[Json], Awaitable[Json]]:
    """Send with httpx over HTTP/1.1; it keeps cookies, so that each link has a client of its own."""
    import httpx  # noqa: PLC0415  as above

    @cache
    def client(proxy: str) -> httpx.AsyncClient:
        return httpx.AsyncClient(proxy=proxy or None, timeout=_SECONDS, trust_env=False, follow_redirects=True)

    async def send(request: Json) -> Json:
        if "detour=" in request["url"]:
            async with httpx.AsyncClient(timeout=_SECONDS, trust_env=False, follow_redirects=True) as fresh:
                answer = await fresh.get(_target(request))
        else:
            one = client(_address(request) if request["proxied"] else "")
            answer = await one.get(_target(request), headers=request["headers"])
        return {"status": answer.status_code, "body": answer.text}

    return send


async def by_http10(_stack: AsyncExitStack) -> Callable[[Json], Awaitable[Json]]:
    """Send HTTP/1.0, as nginx does to what it stands in front of."""

    async def send(request: Json) -> Json:
        reader, writer = await asyncio.open_connection("127.0.0.1", request["port"])
        try:
            host, _, path = request["url"].removeprefix("http://").partition("/")
            headers = {"host": host or "edge.example.test", **request["headers"]}
            lines = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
            writer.write(f"GET /{path} HTTP/1.0\r\n{lines}\r\n".encode())
            head, _, body = (await asyncio.wait_for(reader.read(), _SECONDS)).decode().partition("\r\n\r\n")
        finally:
            writer.close()
        return {"status": int(head.split(" ")[1]), "body": body} if head else {"error": "closed without an answer"}

    return send


async def by_grpc(_stack: AsyncExitStack) -> Callable[[Json], Awaitable[Json]]:
    """Send a gRPC call to the service greeter, with the baggage of a request to users."""
    import grpc  # noqa: PLC0415  as above

    @cache
    def channel(port: int) -> Any:
        return grpc.aio.insecure_channel(f"127.0.0.1:{port}", (("grpc.default_authority", "greeter"),))

    async def send(request: Json) -> Json:
        call = channel(request["port"]).unary_unary("/test.Echo/Unary")
        baggage = request["headers"].get("baggage", "").replace("route.users", "route.greeter")
        try:
            answer = await call(b"", metadata=(("baggage", baggage),) if baggage else (), timeout=_SECONDS)
        except grpc.RpcError as error:
            details = error.details() or ""
            if "onnection refused" in details:
                return {"error": "refused"}
            return {"status": 503 if error.code() is grpc.StatusCode.UNAVAILABLE else 500, "body": details}
        return {"status": 200, "body": answer.decode().partition(":")[0]}

    return send


async def by_websocket(_stack: AsyncExitStack) -> Callable[[Json], Awaitable[Json]]:
    """Open a WebSocket to the service chat, whose first message says who it is."""
    from websockets.asyncio.client import connect  # noqa: PLC0415  as above
    from websockets.exceptions import InvalidStatus  # noqa: PLC0415  as above

    async def send(request: Json) -> Json:
        headers = {name: value.replace("route.users", "route.chat") for name, value in request["headers"].items()}
        where = {"host": "127.0.0.1", "port": request["port"]}
        try:
            async with connect("ws://chat/ws", additional_headers=headers, proxy=None, **where) as socket:
                return {"status": 200, "body": str(await asyncio.wait_for(socket.recv(), _SECONDS))}
        except InvalidStatus as error:
            return {"status": error.response.status_code, "body": error.response.body.decode()}

    return send


async def by_aiohttp_websocket(stack: AsyncExitStack) -> Callable[[Json], Awaitable[Json]]:
    """The same with aiohttp, which uses the sidecar as a proxy."""
    import aiohttp  # noqa: PLC0415  as above

    session = await stack.enter_async_context(aiohttp.ClientSession())

    async def send(request: Json) -> Json:
        headers = {name: value.replace("route.users", "route.chat") for name, value in request["headers"].items()}
        try:
            async with session.ws_connect("http://chat/ws", headers=headers, proxy=_address(request)) as socket:
                return {"status": 200, "body": await socket.receive_str(timeout=_SECONDS)}
        except aiohttp.WSServerHandshakeError as error:
            # aiohttp does not read the body, which names the deployment.
            return {"status": error.status, "body": headers.get("baggage", "")}

    return send


_BLOCKING = {"requests": by_requests, "urllib3": by_urllib3, "curl": by_curl}
_ASYNC = {
    "aiohttp": by_aiohttp,
    "httpx": by_httpx,
    "http10": by_http10,
    "grpc": by_grpc,
    "websocket": by_websocket,
    "aiohttp websocket": by_aiohttp_websocket,
}


async def main(library: str, concurrency: int) -> None:
    """Send the requests from standard input, at most `concurrency` at a time, until its end."""
    async with AsyncExitStack() as stack:
        await _serve(library, concurrency, stack)


async def _serve(library: str, concurrency: int, stack: AsyncExitStack) -> None:
    if library in _BLOCKING:
        blocking, pool = _BLOCKING[library](), ThreadPoolExecutor(concurrency)

        async def send(request: Json) -> Json:
            return await asyncio.get_running_loop().run_in_executor(pool, blocking, request)
    else:
        send = await _ASYNC[library](stack)  # type: ignore[assignment]
    reader = asyncio.StreamReader(limit=2**22)
    loop = asyncio.get_running_loop()
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin)

    # One at a time may read a stream.
    reading = asyncio.Lock()

    async def work() -> None:
        while line := await _line(reader, reading):
            request = json.loads(line)
            sys.stdout.write(json.dumps({"id": request["id"], **await _answered(send, request)}) + "\n")
            sys.stdout.flush()

    await asyncio.gather(*(work() for _ in range(concurrency)))


async def _line(reader: asyncio.StreamReader, reading: asyncio.Lock) -> bytes:
    async with reading:
        return await reader.readline()


async def _answered(send: Callable[[Json], Awaitable[Json]], request: Json) -> Json:
    try:
        return await send(request)
    except Exception as error:  # noqa: BLE001  whatever a library raises is what the run is about
        chain = [error, error.__cause__, error.__context__]
        said = " ".join(f"{type(one).__name__} {one}" for one in chain if one)
        is_refused = any(word in said for word in ("Connection refused", "Connect call failed", "ConnectError"))
        return {"error": "refused" if is_refused else said[:300]}


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], int(sys.argv[2])))
