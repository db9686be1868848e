"""SQS: where overrides find room in a message, and how they are found again."""

import pytest
from opentelemetry.propagate import get_global_textmap, set_global_textmap

from detour.sdk import using
from detour.sdk.mends.sqs import _headers, _with_room
from detour.sdk.propagator import OverridesPropagator

HEADER = "override.route.users=pr-42"


@pytest.fixture(autouse=True)
def propagators():
    """Set up the propagator for a test."""
    others = get_global_textmap()
    set_global_textmap(OverridesPropagator(others))
    yield
    set_global_textmap(others)


def own(count: int) -> dict:
    """Return so many attributes of the service's own."""
    return {f"own-{index}": {"StringValue": "x", "DataType": "String"} for index in range(count)}


def received(message: dict) -> dict:
    """Return a message as it comes out of a queue."""
    system = {name: value["StringValue"] for name, value in message.get("MessageSystemAttributes", {}).items()}
    return {"MessageAttributes": message.get("MessageAttributes"), "Attributes": system}


@pytest.mark.parametrize("count", [0, 8, 9, 10])
def test_overrides_find_room_beside_any_number_of_attributes(count: int) -> None:
    """And none of the service's own is changed or lost."""
    message = {"MessageBody": "x", "MessageAttributes": own(count)}
    with using("users=pr-42"):
        sent = _with_room(message)
    assert message["MessageAttributes"] == own(count)
    assert own(count).items() <= sent["MessageAttributes"].items()
    assert len(sent["MessageAttributes"]) <= 10
    assert _headers(received(sent))["baggage"] == HEADER


def test_xrays_own_header_stays() -> None:
    """Overrides are one more field of it."""
    trace = "Root=1-5759e988-bd862e3fe1be46a994272793;Parent=53995c3f42cd8ad8;Sampled=1"
    system = {"AWSTraceHeader": {"StringValue": trace, "DataType": "String"}}
    with using("users=pr-42"):
        sent = _with_room({"MessageAttributes": own(10), "MessageSystemAttributes": system})
    value = sent["MessageSystemAttributes"]["AWSTraceHeader"]["StringValue"]
    assert value.startswith(trace + ";Detour=")
    assert system["AWSTraceHeader"]["StringValue"] == trace


def test_what_finds_no_room_is_told(caplog: pytest.LogCaptureFixture) -> None:
    """X-Ray's header is meant to hold little; the message is sent as it was."""
    message = {"MessageBody": "x", "MessageAttributes": own(10)}
    with using(f"config.text={'x' * 300}"):
        assert _with_room(message) is message
    assert "has room for 256 characters in AWSTraceHeader" in caplog.text


def test_without_overrides_a_message_is_what_it_was() -> None:
    """The same object, untouched."""
    message = {"MessageBody": "x", "MessageAttributes": own(10)}
    assert _with_room(message) is message


@pytest.mark.parametrize(
    "message",
    [
        {},
        {"MessageAttributes": None, "Attributes": None},
        {"MessageAttributes": {"baggage": {"BinaryValue": b"x", "DataType": "Binary"}}},
        {"Attributes": {"AWSTraceHeader": "Detour=###"}},
        {"Attributes": {"AWSTraceHeader": "Detour=A"}},
        {"Attributes": {"AWSTraceHeader": "Root=1-0-0;Detour=%%%;;;"}},
    ],
)
def test_what_cannot_be_read_is_no_override(message: dict) -> None:
    """And raises nothing."""
    assert not _headers(message).get("baggage", "").startswith("override")
