"""pika: a callback, also of a connection with a loop of its own, an iterator, and one message at a time."""

from propagation.services.queues.pika_producer import OWN, parameters, queue, send  # sets up first

import pika  # isort: skip

import time
from typing import Any

from propagation.services.queues import consuming, entrance
from propagation.services.sync_clients import call_on

_KINDS = ("callback", "iterator", "basic_get", "asynchronous callback")
_PROPERTIES = pika.BasicProperties(**OWN)
_NO_MESSAGE_SECONDS = 0.05


def channel(kind: str) -> Any:
    """Return a channel of its own, with a queue for the kind."""
    made = pika.BlockingConnection(parameters()).channel()
    made.queue_declare(queue(kind))
    return made


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

    pika.SelectConnection(
        parameters(), lambda connection: connection.channel(on_open_callback=opened)
    ).ioloop.start()


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


for each in _KINDS:
    channel(each)
consuming.in_threads(callback)
if not consuming.IS_SHARED:
    consuming.in_threads(call_back_asynchronously, iterate, get)
entrance.serve(
    {
        **{kind: lambda errand, kind=kind: send(kind, errand) for kind in _KINDS},  # type: ignore[misc]
        "the same headers": lambda errand: send("callback", errand, _PROPERTIES),
    }
)
