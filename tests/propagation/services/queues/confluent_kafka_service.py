"""confluent-kafka: a consumer that is polled, and one that consumes several messages at a time."""

from propagation.services.queues.confluent_kafka_producer import SERVERS, send, serializing, topic  # sets up first

from confluent_kafka import Consumer  # isort: skip

from propagation.services.queues import consuming, entrance
from propagation.services.sync_clients import call_on

_HEADERS: list[tuple[str, bytes]] = [("own", b"1")]
_POLL, _CONSUME = topic("poll"), topic("consume")


def consumer(name: str) -> Consumer:
    """Return one that begins with the first message."""
    made = Consumer({"bootstrap.servers": SERVERS, "group.id": name, "auto.offset.reset": "earliest"})
    made.subscribe([name])
    return made


def poll() -> None:
    """Take one message after the other."""
    taking = consumer(_POLL)
    while True:
        message = taking.poll(0.5)
        if message is not None and not message.error():
            call_on(message.value().decode())


def consume() -> None:
    """Take several at a time."""
    taking = consumer(_CONSUME)
    while True:
        for message in taking.consume(10, 0.2):
            if not message.error():
                call_on(message.value().decode())


send(_POLL, f"requests/{consuming.TICK}")
consuming.in_threads(poll)
if not consuming.IS_SHARED:
    send(_CONSUME, f"requests/{consuming.TICK}")
    consuming.in_threads(consume)
entrance.serve(
    {
        "poll": lambda errand: send(_POLL, errand),
        "consume": lambda errand: send(_CONSUME, errand),
        "the same headers": lambda errand: send(_POLL, errand, headers=_HEADERS),
        "serializing producer": lambda errand: send(_POLL, errand, serializing, headers=_HEADERS),
    }
)
