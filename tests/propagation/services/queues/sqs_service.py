"""SQS by boto3: clients and resources, one message and batches, with and without room for attributes."""

from propagation.services.queues.sqs_producer import SETTINGS, client, url  # sets up first

import boto3  # isort: skip

import os
from typing import Any

from propagation.services.queues import consuming, entrance
from propagation.services.sync_clients import call_on

_QUEUE = url(os.environ["QUEUE"])
_OTHER = url(f"{os.environ['QUEUE']}-other")
_resource = boto3.resource("sqs", **SETTINGS).Queue(_OTHER)


def consume() -> None:
    """Take up to ten messages at a time, delete each before it is handled, and call on."""
    own = boto3.session.Session().client("sqs", **SETTINGS)
    while True:
        taken = own.receive_message(QueueUrl=_QUEUE, WaitTimeSeconds=1, MaxNumberOfMessages=10)
        for message in taken.get("Messages", []):
            own.delete_message(QueueUrl=_QUEUE, ReceiptHandle=message["ReceiptHandle"])
            call_on(message["Body"])


def consume_objects() -> None:
    """The same with boto3's resources."""
    queue = boto3.session.Session().resource("sqs", **SETTINGS).Queue(_OTHER)
    while True:
        for message in queue.receive_messages(WaitTimeSeconds=1, MaxNumberOfMessages=10):
            call_on(message.body)
            message.delete()


def attributes(count: int) -> dict[str, Any]:
    """Return attributes of the service's own."""
    return {f"own-{index}": {"StringValue": "x", "DataType": "String"} for index in range(count)}


def send(errand: str, count: int = 0) -> None:
    """Send one message with so many attributes."""
    client.send_message(QueueUrl=_QUEUE, MessageBody=errand, MessageAttributes=attributes(count))


def send_batch(errand: str) -> None:
    """Send it in a batch."""
    client.send_message_batch(QueueUrl=_QUEUE, Entries=[{"Id": "1", "MessageBody": errand}])


consuming.in_threads(consume, consume)
if not consuming.IS_SHARED:
    consuming.in_threads(consume_objects)
entrance.serve(
    {
        "send_message": send,
        "send_message_batch": send_batch,
        "nine attributes": lambda errand: send(errand, 9),
        "ten attributes": lambda errand: send(errand, 10),
        "resources": lambda errand: _resource.send_message(MessageBody=errand),
    }
)
