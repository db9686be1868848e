"""pika: a callback, also of a connection with a loop of its own, an iterator, and one message at a time."""

from propagation.services.setup import set_up

set_up()

import os  # noqa: E402
import threading  # noqa: E402
import time  # noqa: E402
from typing import Any  # noqa: E402

import pika  # noqa: E402

from propagation.services.queues import consuming, entrance  # noqa: E402
from propagation.services.sync_clients import call_on  # noqa: E402

_KINDS = ("callback", "iterator", "basic_get", "asynchronous callback")
_PROPERTIES = pika.BasicProperties(headers={"own": 1})
_NO_MESSAGE_SECONDS = 0.01
_local = threading.local()


def channel(kind: str) -> Any:
    """Return a channel of its own, with a queue for the kind."""
    made = pika.BlockingConnection(pika.URLParameters(os.environ["AMQP_URL"])).channel()
    made.queue_declare(queue(kind))
    return made


def queue(kind: str) -> str:
    """Return the name of a kind's queue."""
    return f"{os.environ['QUEUE']}-{kind}"


def callback() -> None:
    """Be called for each message."""
    own = channel("callback")
    own.basic_consume(queue("callback"), lambda *delivery: call_on(delivery[3].decode()), auto_ack=True)
    own.start_consuming()


def call_back_asynchronously() -> None:
    """The same by a connection that has a loop of its own."""

    def opened(own: Any) -> None:
        on_message = lambda *delivery: call_on(delivery[3].decode())  # noqa: E731
        own.basic_consume(queue("asynchronous callback"), on_message, auto_ack=True)

    parameters = pika.URLParameters(os.environ["AMQP_URL"])
    pika.SelectConnection(parameters, lambda connection: connection.channel(on_open_callback=opened)).ioloop.start()


def iterate() -> None:
    """Take one message after the other."""
    for _method, _properties, body in channel("iterator").consume(queue("iterator"), auto_ack=True):
        call_on(body.decode())


def get() -> None:
    """Ask for one message after the other."""
    own = channel("basic_get")
    while True:
        method, _properties, body = own.basic_get(queue("basic_get"), auto_ack=True)
        if method is None:
            time.sleep(_NO_MESSAGE_SECONDS)
        else:
            call_on(body.decode())


def send(kind: str, errand: str, properties: pika.BasicProperties | None = None) -> None:
    """Send a message over this thread's own channel."""
    if not hasattr(_local, "channel"):
        _local.channel = channel(kind)
    _local.channel.basic_publish(
        "", queue(kind), errand.encode(), properties or pika.BasicProperties(headers={"own": 1})
    )


for each in _KINDS:
    channel(each)
consuming.in_threads(callback, call_back_asynchronously, iterate, get)
entrance.serve(
    {
        **{kind: lambda errand, kind=kind: send(kind, errand) for kind in _KINDS},  # type: ignore[misc]
        "the same headers": lambda errand: send("callback", errand, _PROPERTIES),
    }
)
