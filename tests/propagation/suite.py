"""The whole suite as the tests and the benchmark use it: the sink, brokers, and services beside their handlers."""

import asyncio
from collections.abc import AsyncIterator, Collection, Iterable, Iterator, Mapping
from contextlib import ExitStack, asynccontextmanager
from itertools import chain, count
from pathlib import Path

from propagation.brokers import BROKERS
from propagation.driver import Outcome, RunningService, running
from propagation.rows import SECTIONS, Service, brokers, handlers, together
from propagation.sink import Sink, running_sink
from propagation.toolchains import TOOLCHAINS

_numbers = count(1)


class Suite:
    """Runs services. What several need, brokers and handlers, starts with the first and stays.

    Args:
        folder: Where brokers have their data, and logs go.
        sink: Where services call on to.
        shared: What ends brokers and handlers.
    """

    def __init__(self, folder: Path, sink: Sink, shared: ExitStack) -> None:
        self.sink = sink
        self._folder = folder
        self._shared = shared
        self._variables: dict[str, Mapping[str, str]] = {}
        self._handlers: dict[tuple[str, bool], RunningService] = {}

    @asynccontextmanager
    async def running(
        self, service: Service, clients: Collection[str], *, sdk: bool
    ) -> AsyncIterator[RunningService]:
        """Run a service that is to call on by these clients, with or without the SDK, beside their handlers."""
        started = [self._handler(handler, sdk=sdk) for handler in handlers(clients)]
        await asyncio.gather(*(handler.ready() for handler in started))
        told = {**self._told(service, clients, sdk=sdk), "QUEUE": f"relay-{next(_numbers)}"}
        with running(service, sdk=sdk, sink=self.sink, folder=self._folder, **told) as process:
            await process.ready()
            yield process

    def _handler(self, handler: Service, *, sdk: bool) -> RunningService:
        """Start what takes messages, unless it runs."""
        key = handler.name, sdk
        if key not in self._handlers:
            told = self._told(handler, (), sdk=sdk)
            context = running(handler, sdk=sdk, sink=self.sink, folder=self._folder, **told)
            self._handlers[key] = self._shared.enter_context(context)
        return self._handlers[key]

    def _told(self, service: Service, clients: Iterable[str], *, sdk: bool) -> Mapping[str, str]:
        """Return what a service is told of its brokers, which run from here on, and the names of queues."""
        queues = f"handlers-{'on' if sdk else 'off'}"
        found = {"QUEUE": queues, "HANDLERS": queues, **dict(service.variables)}
        for name in sorted(brokers(service, clients)):
            found.update(self._broker(name))
        return found

    def _broker(self, name: str) -> Mapping[str, str]:
        if name not in self._variables:
            folder = self._folder / name
            folder.mkdir()
            self._variables[name] = self._shared.enter_context(BROKERS[name].running(folder))
        return self._variables[name]

    async def outcomes(
        self, service: Service, clients: Collection[str], requests: int, at_once: int
    ) -> AsyncIterator[tuple[str, Outcome]]:
        """Run a service with the SDK, and send it requests for these of its clients; give each one's outcome."""
        async with self.running(service, clients, sdk=True) as process:
            for group in together(service, clients):
                for client, outcome in (await process.run(service, group, requests, at_once)).items():
                    yield client, outcome


def services() -> Iterator[Service]:
    """Give every service of the table."""
    return chain.from_iterable(SECTIONS.values())


def why_not(service: Service, client: str) -> str:
    """Say why a service can't call on by a client on this machine; "" if it can, and is built."""
    reasons = [BROKERS[name].why_not() for name in sorted(brokers(service, [client]))]
    if service.toolchain:
        reasons.append(TOOLCHAINS[service.toolchain].why_not())
    return next(filter(None, reasons), "")


def is_packaged(service: Service, client: str) -> bool:
    """Say whether PyPI, npm and Debian are enough for a service that calls on by a client."""
    return all(BROKERS[name].is_packaged for name in brokers(service, [client])) and (
        not service.toolchain or TOOLCHAINS[service.toolchain].is_packaged
    )


@asynccontextmanager
async def open_suite(folder: Path) -> AsyncIterator[Suite]:
    """Give the suite, and end behind it all that it started."""
    async with running_sink() as sink:
        with ExitStack() as shared:
            yield Suite(folder, sink, shared)
