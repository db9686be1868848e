"""Sending by aiokafka."""

from propagation.services.setup import set_up

set_up()

import asyncio  # noqa: E402
import os  # noqa: E402
from functools import cache  # noqa: E402

from aiokafka import AIOKafkaProducer  # noqa: E402

SERVERS = os.environ["KAFKA_BOOTSTRAP"]


def topic(kind: str, prefix: str = os.environ["QUEUE"]) -> str:
    """Return the name of a kind's topic."""
    return f"{prefix}-aiokafka-{kind}"


@cache
def _started() -> asyncio.Task[AIOKafkaProducer]:
    return asyncio.ensure_future(_start())


async def _start() -> AIOKafkaProducer:
    producer = AIOKafkaProducer(bootstrap_servers=SERVERS)
    await producer.start()
    return producer


async def send(kind: str, errand: str, headers: list[tuple[str, bytes]] | None = None) -> None:
    """Send a message to this service's own handler, and wait until the broker has it."""
    producer = await _started()
    await producer.send_and_wait(topic(kind), errand.encode(), headers=headers)


async def send_on(errand: str) -> None:
    """The same to the handler that all services share."""
    producer = await _started()
    await producer.send_and_wait(topic("iterator", os.environ["HANDLERS"]), errand.encode())
