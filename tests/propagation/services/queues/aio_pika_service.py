"""aio-pika: a callback, an iterator, and one message at a time."""

from propagation.services.setup import set_up

set_up()

import asyncio  # noqa: E402
import os  # noqa: E402
from typing import Any  # noqa: E402

import aio_pika  # noqa: E402
from aio_pika.abc import AbstractIncomingMessage, AbstractQueue  # noqa: E402

from propagation.services.async_clients import call_on  # noqa: E402
from propagation.services.queues import entrance  # noqa: E402

_NO_MESSAGE_SECONDS = 0.01
_HEADERS: dict[str, Any] = {"own": 1}


async def on_message(message: AbstractIncomingMessage) -> None:
    """Be called for a message."""
    async with message.process():
        await call_on(message.body.decode())


async def iterate(queue: AbstractQueue) -> None:
    """Take one message after the other."""
    async with queue.iterator() as messages:
        async for message in messages:
            await on_message(message)


async def get(queue: AbstractQueue) -> None:
    """Ask for one message after the other."""
    while True:
        message = await queue.get(fail=False)
        if message is None:
            await asyncio.sleep(_NO_MESSAGE_SECONDS)
        else:
            await on_message(message)


async def main() -> None:
    """Serve until the process is ended."""
    async with await aio_pika.connect_robust(os.environ["AMQP_URL"]) as connection:
        channel = await connection.channel()
        queues = {
            kind: await channel.declare_queue(f"{os.environ['QUEUE']}-{kind}")
            for kind in ("callback", "iterator", "get")
        }
        await queues["callback"].consume(on_message)
        taking = [asyncio.create_task(iterate(queues["iterator"])), asyncio.create_task(get(queues["get"]))]

        async def send(kind: str, errand: str, headers: dict[str, Any] | None = None) -> None:
            message = aio_pika.Message(errand.encode(), headers=headers)
            await channel.default_exchange.publish(message, queues[kind].name)

        await entrance.serve_async(
            {
                **{kind: lambda errand, kind=kind: send(kind, errand) for kind in queues},  # type: ignore[misc]
                "the same headers": lambda errand: send("callback", errand, _HEADERS),
            }
        )
        for each in taking:
            each.cancel()


asyncio.run(main())
