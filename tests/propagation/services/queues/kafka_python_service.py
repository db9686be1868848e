"""kafka-python: a consumer that is iterated over, and one that is polled."""

from propagation.services.setup import set_up

set_up()

import os  # noqa: E402

from kafka import KafkaConsumer, KafkaProducer  # noqa: E402

from propagation.services.queues import consuming, entrance  # noqa: E402
from propagation.services.sync_clients import call_on  # noqa: E402

_SERVERS = os.environ["KAFKA_BOOTSTRAP"]
_TOPIC = os.environ["QUEUE"]
_HEADERS = [("own", b"1")]


def consumer(topic: str) -> KafkaConsumer:
    """Return one that begins with the first message."""
    return KafkaConsumer(topic, bootstrap_servers=_SERVERS, group_id=topic, auto_offset_reset="earliest")


def iterate() -> None:
    """Take one message after the other."""
    for record in consumer(_TOPIC):
        call_on(record.value.decode())


def poll() -> None:
    """Take several at a time."""
    taking = consumer(f"{_TOPIC}-polled")
    while True:
        for records in taking.poll(timeout_ms=500).values():
            for record in records:
                call_on(record.value.decode())


producer = KafkaProducer(bootstrap_servers=_SERVERS)


def send(topic: str, errand: str, headers: list[tuple[str, bytes]] | None = None) -> None:
    """Send a message, and wait until the broker has it."""
    producer.send(topic, errand.encode(), headers=headers).get(30)


for each in (_TOPIC, f"{_TOPIC}-polled"):
    send(each, "requests/tick")
consuming.in_threads(iterate, poll)
entrance.serve(
    {
        "iterator": lambda errand: send(_TOPIC, errand),
        "poll": lambda errand: send(f"{_TOPIC}-polled", errand),
        "the same headers": lambda errand: send(_TOPIC, errand, _HEADERS),
    }
)
