"""Real brokers: what a service gives with each message stays its own, and what runs behind one has its overrides.

The rows of the table prove each library in its usual use; in these, one request's overrides could go out with
another's message, or get lost behind the handler. Requests without overrides have no baggage at all here.
"""

import asyncio
from collections.abc import Iterable
from dataclasses import replace
from itertools import count

import aiohttp
import pytest
from _pytest.mark import ParameterSet

from propagation.rows import HANDLERS, Service
from propagation.sink import Sink
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

UNTRACED = [
    ("Celery", "delay"),
    ("pika", "callback"),
    ("aio-pika", "callback"),
    ("kafka-python", "iterator"),
    ("aiokafka", "iterator"),
    ("confluent-kafka", "poll"),
    ("SQS (boto3)", "send_message"),
]
OFF = (
    "OTEL_PYTHON_DISABLED_INSTRUMENTATIONS",
    "celery,pika,aio-pika,kafka,aiokafka,confluent_kafka,boto3,threading",
)

_numbers = count(1)


def uses(pairs: Iterable[tuple[str, str]]) -> list[ParameterSet]:
    """Return services and their clients as parameters."""
    return [
        pytest.param(
            HANDLERS[name],
            client,
            id=f"{name}, {client}",
            marks=[] if is_packaged(HANDLERS[name], client) else [pytest.mark.more],
        )
        for name, client in pairs
    ]


@pytest.mark.asyncio(loop_scope="session")
@pytest.mark.parametrize(("service", "client"), uses(USES))
async def test_a_message_carries_what_its_own_request_carried(suite: Suite, service: Service, client: str) -> None:
    """Though the service gives one object with all its messages, whichever of its callbacks calls on."""
    await check(suite, service, client)


@pytest.mark.asyncio(loop_scope="session")
@pytest.mark.parametrize(("service", "client"), uses(UNTRACED))
async def test_a_message_carries_overrides_whether_or_not_it_is_traced(
    suite: Suite, service: Service, client: str
) -> None:
    """The instrumentation of every queue is off."""
    await check(suite, replace(service, variables=(OFF,)), client)


async def check(suite: Suite, service: Service, client: str) -> None:
    """Send requests, and compare what each brought with what left for it."""
    if missing := why_not(service, client):
        pytest.skip(missing)
    sent = dict(request() for _ in range(ROUNDS))
    async with suite.running(service, [client], sdk=True) as process:
        await send(process.port, client, sent)
        await arrived(suite.sink, sent)
        assert {number: suite.sink.seen[number] for number in sent} == {
            number: [baggage] for number, baggage in sent.items()
        }


def request() -> tuple[str, str]:
    """Return a number that no other request has, and baggage of which the same is true, or none."""
    number = next(_numbers)
    return f"own-{number}", f"override.route.users=pr-{number}" if number % 2 else ""


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
