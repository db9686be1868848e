"""Sending by pika, over a channel for each thread."""

from propagation.services.setup import set_up

set_up()

import os  # noqa: E402
import threading  # noqa: E402
from typing import Any  # noqa: E402

import pika  # noqa: E402

OWN: Any = {"headers": {"own": 1}}

_local = threading.local()


def parameters() -> pika.URLParameters:
    """Return where RabbitMQ is, for connections that nobody may look after for a long time."""
    made = pika.URLParameters(os.environ["AMQP_URL"])
    made.heartbeat = 0
    return made


def queue(kind: str, prefix: str = os.environ["QUEUE"]) -> str:
    """Return the name of a kind's queue."""
    return f"{prefix}-pika-{kind}"


def send(kind: str, errand: str, properties: pika.BasicProperties | None = None) -> None:
    """Send a message to this service's own handler."""
    _publish(queue(kind), errand, properties or pika.BasicProperties(**OWN))


def send_on(errand: str) -> None:
    """Send a message to the handler that all services share."""
    _publish(queue("callback", os.environ["HANDLERS"]), errand)


def _publish(name: str, errand: str, properties: pika.BasicProperties | None = None) -> None:
    if not hasattr(_local, "channel"):
        _local.channel = pika.BlockingConnection(parameters()).channel()
    _local.channel.basic_publish("", name, errand.encode(), properties)
