"""SQS by boto3: clients and resources, one message and batches, with and without room for attributes."""

from propagation.services.setup import set_up

set_up()

import os  # noqa: E402
from typing import Any  # noqa: E402

import boto3  # noqa: E402

from propagation.services.queues import consuming, entrance  # noqa: E402
from propagation.services.sync_clients import call_on  # noqa: E402

_SETTINGS: Any = {
    "endpoint_url": os.environ["SQS_ENDPOINT"],
    "region_name": "eu-test-1",
    "aws_access_key_id": "test",
    "aws_secret_access_key": "test",
}
client = boto3.client("sqs", **_SETTINGS)
url = client.create_queue(QueueName=os.environ["QUEUE"])["QueueUrl"]
other = boto3.resource("sqs", **_SETTINGS).create_queue(QueueName=f"{os.environ['QUEUE']}-other")


def consume() -> None:
    """Take up to ten messages at a time, delete each before it is handled, and call on."""
    own = boto3.client("sqs", **_SETTINGS)
    while True:
        taken = own.receive_message(QueueUrl=url, WaitTimeSeconds=1, MaxNumberOfMessages=10)
        for message in taken.get("Messages", []):
            own.delete_message(QueueUrl=url, ReceiptHandle=message["ReceiptHandle"])
            call_on(message["Body"])


def consume_objects() -> None:
    """The same with boto3's resources."""
    queue = boto3.resource("sqs", **_SETTINGS).Queue(other.url)
    while True:
        for message in queue.receive_messages(WaitTimeSeconds=1, MaxNumberOfMessages=10):
            call_on(message.body)
            message.delete()


def attributes(count: int) -> dict[str, Any]:
    """Return attributes of the service's own."""
    return {f"own-{index}": {"StringValue": "x", "DataType": "String"} for index in range(count)}


def send(errand: str, count: int = 0) -> None:
    """Send one message with so many attributes."""
    client.send_message(QueueUrl=url, MessageBody=errand, MessageAttributes=attributes(count))


def send_batch(errand: str) -> None:
    """Send it in a batch."""
    client.send_message_batch(QueueUrl=url, Entries=[{"Id": "1", "MessageBody": errand}])


consuming.in_threads(consume, consume, consume_objects)
entrance.serve(
    {
        "send_message": send,
        "send_message_batch": send_batch,
        "nine attributes": lambda errand: send(errand, 9),
        "ten attributes": lambda errand: send(errand, 10),
        "resources": lambda errand: other.send_message(MessageBody=errand),
    }
)
