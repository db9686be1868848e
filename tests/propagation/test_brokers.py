"""Real brokers: what a service gives with each message stays its own, and what runs behind one has its overrides.

The rows of the table prove each library in its usual use; in these, one request's overrides could go out with
another's message, or get lost behind the handler. Requests without overrides have no baggage at all here.
"""

import asyncio
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import aiohttp
import pytest

from propagation.driver import running
from propagation.rows import PYTHON_QUEUES, Service
from propagation.sink import Sink, running_sink
from propagation.suite import Suite, is_packaged, why_not

ROUNDS = 20
ARRIVAL_SECONDS = 30

USES = [
    ("RQ", "the same headers"),
    ("RQ", "callback"),
    ("pika", "the same headers"),
    ("pika", "asynchronous callback"),
    ("aio-pika", "the same headers"),
    ("kafka-python", "the same headers"),
    ("aiokafka", "the same headers"),
    ("confluent-kafka", "the same headers"),
    ("confluent-kafka", "serializing producer"),
]
SERVICES = {one.name: one for one in PYTHON_QUEUES}


@pytest.fixture(scope="module")
def suite(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Suite]:
    """Give the suite, whose brokers run from the first test that needs them to the last."""
    with ExitStack() as brokers:
        yield Suite(tmp_path_factory.mktemp("brokers"), brokers)


@pytest.mark.parametrize(
    ("service", "client"),
    [
        pytest.param(
            SERVICES[name],
            client,
            id=f"{name}, {client}",
            marks=[] if is_packaged(SERVICES[name]) else [pytest.mark.more],
        )
        for name, client in USES
    ],
)
async def test_a_message_carries_what_its_own_request_carried(
    suite: Suite, service: Service, client: str, tmp_path: Path
) -> None:
    """Though the service gives one object with all its messages, whichever of its callbacks calls on."""
    if missing := why_not(service):
        pytest.skip(missing)
    sent = {str(number): f"override.route.users=pr-{number}" if number % 2 else "" for number in range(2 * ROUNDS)}
    async with running_sink() as sink:
        with running(service, sdk=True, sink=sink, folder=tmp_path, **suite.variables(service)) as process:
            await process.ready()
            await send(process.port, client, sent)
            await arrived(sink, sent)
            assert {number: sink.seen[number] for number in sent} == {
                number: [baggage] for number, baggage in sent.items()
            }


async def send(port: int, client: str, sent: dict[str, str]) -> None:
    """Send one request after the other, with the baggage of its number."""
    async with aiohttp.ClientSession() as http:
        for number, baggage in sent.items():
            headers = {"baggage": baggage} if baggage else {}
            async with http.get(f"http://127.0.0.1:{port}/{client}/{number}", headers=headers) as answer:
                assert answer.status == 200, await answer.text()


async def arrived(sink: Sink, sent: dict[str, str]) -> None:
    """Wait until the service has called on for each."""
    async with asyncio.timeout(ARRIVAL_SECONDS):
        while not sent.keys() <= sink.seen.keys():
            await asyncio.sleep(0.02)
