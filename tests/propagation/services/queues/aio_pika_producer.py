"""Sending by aio-pika, over a channel that all requests share."""

from propagation.services.setup import set_up

set_up()

import asyncio  # noqa: E402
import os  # noqa: E402
from functools import cache  # noqa: E402
from typing import Any  # noqa: E402

import aio_pika  # noqa: E402
from aio_pika.abc import AbstractChannel  # noqa: E402


def queue(kind: str, prefix: str = os.environ["QUEUE"]) -> str:
    """Return the name of a kind's queue."""
    return f"{prefix}-aio-pika-{kind}"


@cache
def opened() -> asyncio.Task[AbstractChannel]:
    """Open the channel, once in a process."""
    return asyncio.ensure_future(_open())


async def _open() -> AbstractChannel:
    connection = await aio_pika.connect_robust(os.environ["AMQP_URL"], heartbeat=0)
    return await connection.channel()


async def send(kind: str, errand: str, headers: dict[str, Any] | None = None) -> None:
    """Send a message to this service's own handler."""
    await _publish(queue(kind), errand, headers)


async def send_on(errand: str) -> None:
    """The same to the handler that all services share."""
    await _publish(queue("callback", os.environ["HANDLERS"]), errand)


async def _publish(name: str, errand: str, headers: dict[str, Any] | None = None) -> None:
    channel = await opened()
    await channel.default_exchange.publish(aio_pika.Message(errand.encode(), headers=headers), name)
