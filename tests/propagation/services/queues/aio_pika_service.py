"""aio-pika: a callback, an iterator, and one message at a time."""

from propagation.services.queues.aio_pika_producer import opened, queue, send  # sets up first

from aio_pika.abc import AbstractIncomingMessage, AbstractQueue  # isort: skip

import asyncio
from typing import Any

from propagation.services.async_clients import call_on
from propagation.services.queues import consuming, entrance

_KINDS = ("callback", "iterator", "get")
_NO_MESSAGE_SECONDS = 0.05
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
    channel = await opened()
    queues = {kind: await channel.declare_queue(queue(kind)) for kind in _KINDS}
    await queues["callback"].consume(on_message)
    others = () if consuming.IS_SHARED else (iterate(queues["iterator"]), get(queues["get"]))
    taking = [asyncio.create_task(other) for other in others]
    await entrance.serve_async(
        {
            **{kind: lambda errand, kind=kind: send(kind, errand) for kind in _KINDS},  # type: ignore[misc]
            "the same headers": lambda errand: send("callback", errand, _HEADERS),
        }
    )
    for each in taking:
        each.cancel()


asyncio.run(main())
