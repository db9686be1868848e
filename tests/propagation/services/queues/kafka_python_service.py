"""kafka-python: a consumer that is iterated over, and one that is polled."""

from propagation.services.queues.kafka_python_producer import SERVERS, send, topic  # sets up first

from kafka import KafkaConsumer  # isort: skip

from propagation.services.queues import consuming, entrance
from propagation.services.sync_clients import call_on

_HEADERS = [("own", b"1")]


def consumer(kind: str) -> KafkaConsumer:
    """Return one that begins with the first message."""
    name = topic(kind)
    return KafkaConsumer(name, bootstrap_servers=SERVERS, group_id=name, auto_offset_reset="earliest")


def iterate() -> None:
    """Take one message after the other."""
    for record in consumer("iterator"):
        call_on(record.value.decode())


def poll() -> None:
    """Take several at a time."""
    taking = consumer("poll")
    while True:
        for records in taking.poll(timeout_ms=500).values():
            for record in records:
                call_on(record.value.decode())


send("iterator", f"requests/{consuming.TICK}")
consuming.in_threads(iterate)
if not consuming.IS_SHARED:
    send("poll", f"requests/{consuming.TICK}")
    consuming.in_threads(poll)
entrance.serve(
    {
        "iterator": lambda errand: send("iterator", errand),
        "poll": lambda errand: send("poll", errand),
        "the same headers": lambda errand: send("iterator", errand, _HEADERS),
    }
)
