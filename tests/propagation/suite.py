"""The whole suite as the tests and the benchmark use it: sink, brokers, services."""

from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import ExitStack, asynccontextmanager
from itertools import count
from pathlib import Path

from propagation.brokers import BROKERS
from propagation.driver import Outcome, running
from propagation.rows import LANGUAGES, Service
from propagation.sink import running_sink
from propagation.toolchains import TOOLCHAINS

_numbers = count(1)


class Suite:
    """Runs services on brokers that are started when the first service needs them.

    Args:
        folder: Where brokers have their data, and logs go.
    """

    def __init__(self, folder: Path, brokers: ExitStack) -> None:
        self._folder = folder
        self._brokers = brokers
        self._variables: dict[str, Mapping[str, str]] = {}

    def variables(self, service: Service) -> Mapping[str, str]:
        """Return what a service is told of its broker, which runs from here on, and a name for its queues."""
        name = service.broker
        if name and name not in self._variables:
            folder = self._folder / name
            folder.mkdir()
            self._variables[name] = self._brokers.enter_context(BROKERS[name].running(folder))
        return {
            **self._variables.get(name, {}),
            "QUEUE": f"relay-{next(_numbers)}",
            **dict(service.variables),
        }

    async def outcomes(self, service: Service, requests: int, at_once: int) -> AsyncIterator[tuple[str, Outcome]]:
        """Run a service with the SDK, and send requests to each of its clients in turn; give each one's outcome."""
        async with running_sink() as sink:
            with running(service, sdk=True, sink=sink, folder=self._folder, **self.variables(service)) as process:
                await process.ready()
                for client in service.clients:
                    yield client, await process.run(service, client, requests, at_once)


def services() -> Iterator[Service]:
    """Give every service of the table."""
    for found in LANGUAGES.values():
        yield from found


def why_not(service: Service) -> str:
    """Say why a service can't run on this machine; "" if it can, and is built."""
    return (service.broker and BROKERS[service.broker].why_not()) or (
        service.toolchain and TOOLCHAINS[service.toolchain].why_not()
    )


def is_packaged(service: Service) -> bool:
    """Say whether PyPI, npm and Debian are enough to run a service."""
    return (not service.broker or BROKERS[service.broker].is_packaged) and (
        not service.toolchain or TOOLCHAINS[service.toolchain].is_packaged
    )


@asynccontextmanager
async def open_suite(folder: Path) -> AsyncIterator[Suite]:
    """Give the suite, and end all brokers behind it."""
    with ExitStack() as brokers:
        yield Suite(folder, brokers)
