"""Sends requests with overrides into a service, and tells what left it.

A service is one process. It finds in its environment `PORT` (where it serves HTTP) or `GRPC_PORT`, `SINK_HTTP` and
`SINK_GRPC` (where it is to call on to), `DETOUR_SDK` (`on` or `off`), what its brokers are called by, `QUEUE` and
`HANDLERS` (the names of its own queues, and of those whose handlers all services share).

`GET /{clients}/{number}` has it call on by each of these clients, whose names have commas between them; a gRPC
service takes `{clients}/{number}` as the value of `detour.test.Relay`'s messages. The sink is told the number, with
the client's place behind it if there are several: `/17.1`. `{producer} > {clients}` has a service send a message by
its own queue, and the message's handler call on by the clients.
"""

import asyncio
import os
import subprocess
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path
from typing import Any, Final
from urllib.parse import quote

import aiohttp
import grpc.aio
from google.protobuf.wrappers_pb2 import StringValue

from detour.envoy import tied_to_parent
from detour.overrides import Kind, Override, Overrides, append_to_baggage, parse_baggage
from ports import free_port
from propagation.relay import calls
from propagation.rows import OUTLIVING, VIA, Service
from propagation.sink import Sink

_TESTS: Final = Path(__file__).parents[1]
_READY_SECONDS: Final = 60
_ANSWER_SECONDS: Final = 30
_ARRIVAL_SECONDS: Final = 30
"""The longest from a request's answer to its last call."""

_STOP_SECONDS: Final = 10
_WITHOUT_EVERY: Final = 5
"""One request in so many carries no overrides, and must leave without any; every other of these has no baggage."""

VERDICTS: Final = ("kept", "altered", "lost", "leaked", "failed")
"""From the best to the worst."""

_numbers = count(1)


@dataclass
class Outcome:
    """What became of the overrides of a row's requests.

    Args:
        kept: Requests whose own overrides, and no others, left the service.
        altered: Requests whose flag left with another text.
        lost: Requests of whose overrides some did not leave.
        leaked: Requests that left with another's, in words.
        failed: Requests that failed, in words.
    """

    kept: int = 0
    altered: int = 0
    lost: int = 0
    leaked: list[str] = field(default_factory=list)
    failed: list[str] = field(default_factory=list)

    def and_those(self, others: "Outcome") -> "Outcome":
        """Return what became of these requests and of others."""
        return Outcome(
            self.kept + others.kept,
            self.altered + others.altered,
            self.lost + others.lost,
            self.leaked + others.leaked,
            self.failed + others.failed,
        )

    def judge(self, expected: Overrides, seen: list[str]) -> None:
        """Compare what left with what entered."""
        for baggage in seen:
            left = parse_baggage([baggage]).overrides
            if left == expected:
                self.kept += 1
            elif left.route("users") not in {None, expected.route("users")}:
                self.leaked.append(f"{baggage!r} instead of {[*expected]}")
            elif len(left) == len(expected):
                self.altered += 1
            else:
                self.lost += 1

    @property
    def verdict(self) -> str:
        """In a word, one of `VERDICTS`."""
        counts = (self.failed, self.leaked, self.lost, self.altered)
        return next((verdict for verdict, count in zip(reversed(VERDICTS), counts, strict=False) if count), "kept")


class ServiceError(AssertionError):
    """A service did not come up; the message has its last words."""


class RunningService:
    """A service's process.

    Args:
        service: Which.
        port: Where it serves.
    """

    def __init__(
        self, service: Service, port: int, sink: Sink, process: "subprocess.Popen[bytes]", log: Path
    ) -> None:
        self.service = service
        self.port = port
        self._sink = sink
        self._process = process
        self._log = log

    async def ready(self) -> None:
        """Wait until it serves.

        Raises:
            ServiceError: It ended, or does not in time.
        """
        deadline = time.monotonic() + _READY_SECONDS
        while not await self._is_ready():
            if self._process.poll() is not None or time.monotonic() > deadline:
                raise ServiceError(f"{self.service.name} does not serve: {self._last_words()}")
            await asyncio.sleep(0.05)

    async def _is_ready(self) -> bool:
        try:
            _, writer = await asyncio.open_connection("127.0.0.1", self.port)
        except OSError:
            return False
        writer.close()
        if self.service.entry:
            return True
        async with aiohttp.ClientSession() as http, http.get(f"http://127.0.0.1:{self.port}/") as answer:
            return answer.status == 200

    async def run(
        self, service: Service, clients: Sequence[str], requests: int, at_once: int
    ) -> dict[str, Outcome]:
        """Send so many requests, each with overrides of its own, so many of them at the same time.

        Args:
            service: The way of serving; of the same process.
            clients: What it is to call on by, for each request by one after the other; behind a producer of its
                own, all behind the same one.
            requests: How many in all.
            at_once: How many at a time: from sending one until all its calls have come out of the service.
        """
        sent = dict(_request() for _ in range(requests))
        labels = _labels(clients)
        failed: list[str] = []
        waiting = iter(list(sent.items()))
        async with _caller(service, self.port) as call:

            async def work() -> None:
                for number, overrides in waiting:
                    if failed:
                        return
                    failure = await call(_path(service, clients), number, overrides)
                    if failure := failure or await self._came([f"{number}{label}" for label in labels.values()]):
                        failed.append(f"{failure} {self._last_words()}")

            await asyncio.gather(*(work() for _ in range(at_once)))
        outcomes = {client: Outcome(failed=list(failed)) for client in clients}
        for client, label in labels.items():
            for number, overrides in sent.items():
                expected = Overrides() if client.startswith(OUTLIVING) else overrides
                outcomes[client].judge(expected, self._sink.seen.pop(f"{number}{label}", []))
        return outcomes

    async def _came(self, calls: list[str]) -> str:
        """Wait until a request has come out by all its calls, some after it was answered; say which did not."""
        deadline = time.monotonic() + _ARRIVAL_SECONDS
        while missing := [one for one in calls if one not in self._sink.seen]:
            if time.monotonic() > deadline:
                return f"{', '.join(missing)} did not come."
            await asyncio.sleep(0.02)
        return ""

    def _last_words(self) -> str:
        return self._log.read_text(errors="replace").strip()[-2000:]


@contextmanager
def running(
    service: Service, *, sdk: bool, sink: Sink, folder: Path, **environment: str
) -> Iterator[RunningService]:
    """Run a service's process, with or without Detour's SDK."""
    http, by_grpc = free_port(), free_port()
    log = folder / f"service-{http}.log"
    with log.open("wb") as output:
        process = subprocess.Popen(
            tied_to_parent(service.command),
            env=_environment(sink, sdk=sdk, PORT=str(http), GRPC_PORT=str(by_grpc), **environment),
            cwd=folder,
            stdin=subprocess.PIPE,
            stdout=output,
            stderr=output,
        )
    try:
        yield RunningService(service, by_grpc if service.entry else http, sink, process, log)
    finally:
        process.terminate()
        try:
            process.wait(_STOP_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        assert process.stdin
        process.stdin.close()


def _environment(sink: Sink, *, sdk: bool, **more: str) -> dict[str, str]:
    kept = {
        name: value
        for name, value in os.environ.items()
        if not name.lower().endswith("_proxy") and not name.startswith(("OTEL_", "COVERAGE", "PYTEST"))
    }
    return {
        **kept,
        "PYTHONPATH": str(_TESTS),
        "OTEL_SERVICE_NAME": "relay",
        "OTEL_TRACES_EXPORTER": "none",
        "OTEL_METRICS_EXPORTER": "none",
        "OTEL_LOGS_EXPORTER": "none",
        "SINK_HTTP": sink.http,
        "SINK_GRPC": sink.grpc,
        "DETOUR_SDK": "on" if sdk else "off",
        **more,
    }


def _request() -> tuple[str, Overrides]:
    """Return a number that no other request has, and overrides of which the same is true, or none."""
    number = next(_numbers)
    if number % _WITHOUT_EVERY == 0:
        return str(number), Overrides()
    return str(number), Overrides.collect(
        [
            Override(Kind.ROUTE, "users", f"pr-{number}"),
            Override(Kind.CONFIG, "greeting", f"grüß {number}, 1+1"),
        ]
    )


def _path(service: Service, clients: Sequence[str]) -> str:
    producer, via, _ = clients[0].rpartition(VIA)
    return f"{service.prefix}{producer}{via}{','.join(client.rpartition(VIA)[2] for client in clients)}"


def _labels(clients: Sequence[str]) -> dict[str, str]:
    """Return what each client's calls have behind the request's number: its place, if there are several."""
    return {client: f".{place}" if len(clients) > 1 else "" for place, client in enumerate(clients)}


class _caller:  # noqa: N801  a context manager that is used like a function
    """Calls a service from outside, by HTTP or gRPC; answers with what failed."""

    def __init__(self, service: Service, port: int) -> None:
        self._service = service
        self._port = port

    async def __aenter__(self) -> Any:
        if self._service.entry:
            self._closing: Any = grpc.aio.insecure_channel(
                f"127.0.0.1:{self._port}", [("grpc.enable_http_proxy", 0)]
            )
            return self._by_grpc
        self._closing = aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(_ANSWER_SECONDS))
        return self._by_http

    async def __aexit__(self, *_: object) -> None:
        await self._closing.close()

    async def _by_http(self, client: str, number: str, overrides: Overrides) -> str:
        url = f"http://127.0.0.1:{self._port}/{quote(client)}/{number}"
        try:
            async with self._closing.get(url, headers=_headers(number, overrides)) as got:
                text = await got.text()
                return "" if got.status == 200 else f"{got.status}: {text[:300]}"
        except (aiohttp.ClientError, TimeoutError) as error:
            return repr(error)

    async def _by_grpc(self, client: str, number: str, overrides: Overrides) -> str:
        entry = self._service.entry
        sent = StringValue(value=f"{client}/{number}")
        request: Any = iter([sent]) if entry in {"grpc-client-stream", "grpc-bidi-stream"} else sent
        metadata = tuple(_headers(number, overrides).items())
        answer = calls(self._closing)[entry](request, metadata=metadata, timeout=_ANSWER_SECONDS)
        try:
            if entry in {"grpc-server-stream", "grpc-bidi-stream"}:
                return "" if [one async for one in answer] else "no answer"
            await answer
        except grpc.aio.AioRpcError as error:
            return f"{error.code()}: {error.details()}"
        return ""


def _headers(number: str, overrides: Overrides) -> dict[str, str]:
    if int(number) % (2 * _WITHOUT_EVERY) == 0:
        return {}
    return {"baggage": append_to_baggage("team=rides", overrides)}
