"""Helpers for Envoy's protobuf messages."""

from datetime import timedelta
from typing import Final

from google.protobuf.any_pb2 import Any
from google.protobuf.duration_pb2 import Duration
from google.protobuf.message import Message

HTTP_OPTIONS: Final = "envoy.extensions.upstreams.http.v3.HttpProtocolOptions"
"""The key of a cluster's HTTP settings in `typed_extension_protocol_options`."""


def packed(message: Message) -> Any:
    """Wrap a message. The bytes are deterministic, because versions are computed from them."""
    wrapped = Any()
    wrapped.Pack(message, deterministic=True)
    return wrapped


def duration(value: timedelta) -> Duration:
    """Convert a timedelta."""
    made = Duration()
    made.FromTimedelta(value)
    return made
