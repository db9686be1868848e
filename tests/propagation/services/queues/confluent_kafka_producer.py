"""Sending by confluent-kafka."""

from propagation.services.setup import set_up

set_up()

import os  # noqa: E402
from typing import Any  # noqa: E402

from confluent_kafka import Producer, SerializingProducer  # noqa: E402

SERVERS = os.environ["KAFKA_BOOTSTRAP"]

_SETTINGS = {"bootstrap.servers": SERVERS, "linger.ms": 0}
_plain = Producer(_SETTINGS)
serializing = SerializingProducer(_SETTINGS)


def topic(kind: str, prefix: str = os.environ["QUEUE"]) -> str:
    """Return the name of a kind's topic."""
    return f"{prefix}-confluent-kafka-{kind}"


def send(name: str, errand: str, producer: Any = _plain, **headers: Any) -> None:
    """Send a message to a topic, and wait until the broker has it."""
    producer.produce(name, value=errand.encode(), **headers)
    assert producer.flush(30) in {0, None}


def send_on(errand: str) -> None:
    """The same to the handler that all services share."""
    send(topic("poll", os.environ["HANDLERS"]), errand)
