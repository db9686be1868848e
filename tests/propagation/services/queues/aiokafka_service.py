"""aiokafka: a consumer that is iterated over, and one that gives several messages at a time."""

from propagation.services.setup import set_up

set_up()

import asyncio  # noqa: E402
import os  # noqa: E402

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer  # noqa: E402

from propagation.services.async_clients import call_on  # noqa: E402
from propagation.services.queues import entrance  # noqa: E402

_SERVERS = os.environ["KAFKA_BOOTSTRAP"]
_TOPIC = os.environ["QUEUE"]
_HEADERS = [("own", b"1")]


async def consumer(topic: str) -> AIOKafkaConsumer:
    """Return one that begins with the first message."""
    made = AIOKafkaConsumer(topic, bootstrap_servers=_SERVERS, group_id=topic, auto_offset_reset="earliest")
    await made.start()
    return made


async def iterate() -> None:
    """Take one message after the other."""
    async for record in await consumer(_TOPIC):
        await call_on(record.value.decode())


async def get_many() -> None:
    """Take several at a time."""
    taking = await consumer(f"{_TOPIC}-many")
    while True:
        for records in (await taking.getmany(timeout_ms=500)).values():
            for record in records:
                await call_on(record.value.decode())


async def main() -> None:
    """Serve until the process is ended."""
    producer = AIOKafkaProducer(bootstrap_servers=_SERVERS)
    await producer.start()

    async def send(topic: str, errand: str, headers: list[tuple[str, bytes]] | None = None) -> None:
        await producer.send_and_wait(topic, errand.encode(), headers=headers)

    for each in (_TOPIC, f"{_TOPIC}-many"):
        await send(each, "httpx/tick")
    consumers = [asyncio.create_task(iterate()), asyncio.create_task(get_many())]
    await entrance.serve_async(
        {
            "iterator": lambda errand: send(_TOPIC, errand),
            "getmany": lambda errand: send(f"{_TOPIC}-many", errand),
            "the same headers": lambda errand: send(_TOPIC, errand, _HEADERS),
        }
    )
    for each in consumers:
        each.cancel()


asyncio.run(main())
