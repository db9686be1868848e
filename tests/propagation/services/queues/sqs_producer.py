"""Sending to SQS by boto3's client."""

from propagation.services.setup import set_up

set_up()

import os  # noqa: E402
from functools import cache  # noqa: E402
from typing import Any  # noqa: E402

import boto3  # noqa: E402

SETTINGS: Any = {
    "endpoint_url": os.environ["SQS_ENDPOINT"],
    "region_name": "eu-test-1",
    "aws_access_key_id": "test",
    "aws_secret_access_key": "test",
}
client = boto3.client("sqs", **SETTINGS)


@cache
def url(name: str) -> str:
    """Return a queue's URL; it is made if it is not there."""
    return str(client.create_queue(QueueName=name)["QueueUrl"])


def send_on(errand: str) -> None:
    """Send a message to the handler that all services share."""
    client.send_message(QueueUrl=url(os.environ["HANDLERS"]), MessageBody=errand)
