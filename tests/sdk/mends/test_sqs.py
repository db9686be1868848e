"""SQS: where overrides find room in a message, and how they are found again."""

from types import SimpleNamespace
from typing import Any

import pytest
from botocore.loaders import Loader
from botocore.model import ServiceModel
from opentelemetry.propagate import get_global_textmap, set_global_textmap

from detour.sdk import using
from detour.sdk.mends.sqs import _asking, _headers, _with_room
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


def client(*, since_2024: bool = True) -> Any:
    """Return a client as far as it tells what it can ask for; before 2024 that was one name less."""
    model = Loader().load_service_model("sqs", "service-2")
    if not since_2024:
        del model["shapes"]["ReceiveMessageRequest"]["members"]["MessageSystemAttributeNames"]
    return SimpleNamespace(meta=SimpleNamespace(service_model=ServiceModel(model, "sqs")))


@pytest.mark.parametrize(
    ("request_", "since_2024", "added"),
    [
        ({}, True, {"MessageSystemAttributeNames": ["AWSTraceHeader"]}),
        ({}, False, {"AttributeNames": ["AWSTraceHeader"]}),
        ({"AttributeNames": ["SenderId"]}, True, {"AttributeNames": ["SenderId", "AWSTraceHeader"]}),
        (
            {"MessageSystemAttributeNames": ["SenderId"]},
            True,
            {"MessageSystemAttributeNames": ["SenderId", "AWSTraceHeader"]},
        ),
        ({"AttributeNames": ["All"]}, True, {}),
        ({"MessageSystemAttributeNames": ["AWSTraceHeader"]}, True, {}),
    ],
)
def test_system_attributes_are_asked_for_by_the_name_that_the_service_uses(
    request_: dict, since_2024: bool, added: dict
) -> None:
    """Else by one that its boto3 knows: another would be refused."""
    asked = _asking(client(since_2024=since_2024), request_)
    assert asked == {"MessageAttributeNames": ["baggage"], **request_, **added}


@pytest.mark.parametrize("names", [["All"], [".*"], ["own", "baggage"]])
def test_attributes_that_the_service_asks_for_are_not_asked_for_twice(names: list[str]) -> None:
    """And its own list stays what it is."""
    request = {"MessageAttributeNames": names}
    assert _asking(client(), request)["MessageAttributeNames"] == names
    assert _asking(client(), request)["MessageAttributeNames"] is not names


def test_attributes_that_the_service_asks_for_are_asked_for_still() -> None:
    """Beside the overrides' own."""
    assert _asking(client(), {"MessageAttributeNames": ["own"]})["MessageAttributeNames"] == ["own", "baggage"]
