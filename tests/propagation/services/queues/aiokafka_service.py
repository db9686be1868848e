"""aiokafka: a consumer that is iterated over, and one that gives several messages at a time."""

from propagation.services.queues.aiokafka_producer import SERVERS, send, topic  # sets up first

from aiokafka import AIOKafkaConsumer  # isort: skip

import asyncio

from propagation.services.async_clients import call_on
from propagation.services.queues import consuming, entrance

_HEADERS = [("own", b"1")]


async def consumer(kind: str) -> AIOKafkaConsumer:
    """Return one that begins with the first message."""
    name = topic(kind)
    made = AIOKafkaConsumer(name, bootstrap_servers=SERVERS, group_id=name, auto_offset_reset="earliest")
    await made.start()
    return made


async def iterate() -> None:
    """Take one message after the other."""
    async for record in await consumer("iterator"):
        await call_on(record.value.decode())


async def get_many() -> None:
    """Take several at a time."""
    taking = await consumer("getmany")
    while True:
        for records in (await taking.getmany(timeout_ms=500)).values():
            for record in records:
                await call_on(record.value.decode())


async def main() -> None:
    """Serve until the process is ended."""
    await send("iterator", f"httpx/{consuming.TICK}")
    consumers = [asyncio.create_task(iterate())]
    if not consuming.IS_SHARED:
        await send("getmany", f"httpx/{consuming.TICK}")
        consumers.append(asyncio.create_task(get_many()))
    await entrance.serve_async(
        {
            "iterator": lambda errand: send("iterator", errand),
            "getmany": lambda errand: send("getmany", errand),
            "the same headers": lambda errand: send("iterator", errand, _HEADERS),
        }
    )
    for each in consumers:
        each.cancel()


asyncio.run(main())
