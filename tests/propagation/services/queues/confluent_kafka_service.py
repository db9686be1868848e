"""confluent-kafka: a consumer that is polled, and one that consumes several messages at a time."""

from propagation.services.setup import set_up

set_up()

import os  # noqa: E402
from typing import Any  # noqa: E402

from confluent_kafka import Consumer, Producer, SerializingProducer  # noqa: E402

from propagation.services.queues import consuming, entrance  # noqa: E402
from propagation.services.sync_clients import call_on  # noqa: E402

_SERVERS = os.environ["KAFKA_BOOTSTRAP"]
_TOPIC = os.environ["QUEUE"]
_HEADERS: list[tuple[str, bytes]] = [("own", b"1")]


def consumer(topic: str) -> Consumer:
    """Return one that begins with the first message."""
    made = Consumer({"bootstrap.servers": _SERVERS, "group.id": topic, "auto.offset.reset": "earliest"})
    made.subscribe([topic])
    return made


def poll() -> None:
    """Take one message after the other."""
    taking = consumer(_TOPIC)
    while True:
        message = taking.poll(0.5)
        if message is not None and not message.error():
            call_on(message.value().decode())


def consume() -> None:
    """Take several at a time."""
    taking = consumer(f"{_TOPIC}-many")
    while True:
        for message in taking.consume(10, 0.2):
            if not message.error():
                call_on(message.value().decode())


_SETTINGS = {"bootstrap.servers": _SERVERS, "linger.ms": 0}
plain = Producer(_SETTINGS)
serializing = SerializingProducer(_SETTINGS)


def send(topic: str, errand: str, producer: Any = plain, **headers: Any) -> None:
    """Send a message, and wait until the broker has it."""
    producer.produce(topic, value=errand.encode(), **headers)
    assert producer.flush(30) in {0, None}


for each in (_TOPIC, f"{_TOPIC}-many"):
    send(each, "requests/tick")
consuming.in_threads(poll, consume)
entrance.serve(
    {
        "poll": lambda errand: send(_TOPIC, errand),
        "consume": lambda errand: send(f"{_TOPIC}-many", errand),
        "the same headers": lambda errand: send(_TOPIC, errand, headers=_HEADERS),
        "serializing producer": lambda errand: send(_TOPIC, errand, serializing, headers=_HEADERS),
    }
)
