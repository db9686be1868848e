"""Sending by kafka-python."""

from propagation.services.setup import set_up

set_up()

import os  # noqa: E402

from kafka import KafkaProducer  # noqa: E402

SERVERS = os.environ["KAFKA_BOOTSTRAP"]

_producer = KafkaProducer(bootstrap_servers=SERVERS)


def topic(kind: str, prefix: str = os.environ["QUEUE"]) -> str:
    """Return the name of a kind's topic."""
    return f"{prefix}-kafka-python-{kind}"


def send(kind: str, errand: str, headers: list[tuple[str, bytes]] | None = None) -> None:
    """Send a message to this service's own handler, and wait until the broker has it."""
    _producer.send(topic(kind), errand.encode(), headers=headers).get(30)


def send_on(errand: str) -> None:
    """The same to the handler that all services share."""
    _producer.send(topic("iterator", os.environ["HANDLERS"]), errand.encode()).get(30)
