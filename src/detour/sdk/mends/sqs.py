"""SQS with boto3: OpenTelemetry adds baggage to a message's attributes if there is room, but does not restore it.

A message has room for ten attributes. If a service uses nine, the baggage gets the last one, in preference to the
trace. If it uses all ten, overrides travel as a field of `AWSTraceHeader`, the system attribute with X-Ray's
tracing header, which may contain fields of any vendor (AWS X-Ray developer guide, "Tracing header"): `Detour=` and
their baggage in base64 (RFC 4648, section 5). It has at most 256 characters, because that header is meant to be
short.
"""

from base64 import urlsafe_b64decode, urlsafe_b64encode
from binascii import Error
from collections.abc import Callable
from types import ModuleType
from typing import Any, Final

from wrapt import wrap_function_wrapper

from detour.overrides import OverrideProblem, append_to_baggage
from detour.sdk.carriage import Headers, carried
from detour.sdk.mends.message import Batch, kept, release
from detour.sdk.request import current, report_problems

_ATTRIBUTES_MAX: Final = 10
_BAGGAGE: Final = "baggage"
_TRACE_HEADER: Final = "AWSTraceHeader"
_SYSTEM_NAMES: Final = "MessageSystemAttributeNames"
_OLDER_NAMES: Final = "AttributeNames"
_FIELD: Final = "Detour="
_FIELD_MAX: Final = 256
_NO_TRACE: Final = "Root=1-00000000-000000000000000000000000;Sampled=0"
_MENDED: Final = "_detour_mended"

Wrapped = Callable[..., Any]
Args = tuple[Any, ...]
Kwargs = dict[str, Any]


def mend(module: ModuleType) -> None:
    """Patch the client's class, which botocore creates with the first client, and the messages of resources."""
    wrap_function_wrapper(module, "session.Session.client", _client)
    wrap_function_wrapper("boto3.resources.action", "ServiceAction.__call__", _act)


def _client(wrapped: Wrapped, _: object, args: Args, kwargs: Kwargs) -> Any:
    client = wrapped(*args, **kwargs)
    own = type(client)
    if hasattr(own, "send_message_batch") and not hasattr(own, _MENDED):
        setattr(own, _MENDED, True)
        wrap_function_wrapper(own, "send_message", _send)
        wrap_function_wrapper(own, "send_message_batch", _send_batch)
        wrap_function_wrapper(own, "receive_message", _receive)
        wrap_function_wrapper(own, "delete_message", _delete)
        wrap_function_wrapper(own, "delete_message_batch", _delete)
    return client


def _send(wrapped: Wrapped, _: object, args: Args, kwargs: Kwargs) -> Any:
    return wrapped(*args, **_with_room(kwargs))


def _send_batch(wrapped: Wrapped, _: object, args: Args, kwargs: Kwargs) -> Any:
    if entries := kwargs.get("Entries"):
        kwargs = {**kwargs, "Entries": [_with_room(entry) for entry in entries]}
    return wrapped(*args, **kwargs)


def _with_room(message: Kwargs) -> Kwargs:
    """Return a message with room for overrides; its attributes are copied, because other code adds to them."""
    attributes = dict(message.get("MessageAttributes") or {})
    header = carried().get(_BAGGAGE)
    if not header:
        return message
    if len(attributes) < _ATTRIBUTES_MAX:
        attributes[_BAGGAGE] = {"StringValue": header, "DataType": "String"}
        return {**message, "MessageAttributes": attributes}
    own = append_to_baggage(None, current())
    field = _FIELD + urlsafe_b64encode(own.encode()).decode().rstrip("=")
    if len(field) > _FIELD_MAX:
        report_problems(
            (
                OverrideProblem(
                    own, f"a message with ten attributes has room for {_FIELD_MAX} characters in {_TRACE_HEADER}"
                ),
            )
        )
        return message
    system = dict(message.get("MessageSystemAttributes") or {})
    before = system.get(_TRACE_HEADER, {}).get("StringValue") or _NO_TRACE
    system[_TRACE_HEADER] = {"StringValue": f"{before};{field}", "DataType": "String"}
    return {**message, "MessageAttributes": attributes, "MessageSystemAttributes": system}


def _receive(wrapped: Wrapped, client: Any, args: Args, kwargs: Kwargs) -> Any:
    release(client)
    answer = wrapped(*args, **_asking(client, kwargs))
    if messages := answer.get("Messages"):
        answer["Messages"] = Batch(messages, _headers, client)
    return answer


def _asking(client: Any, request: Kwargs) -> Kwargs:
    """Extend a receive request, so that the response includes the attributes that overrides travel in."""
    names = [*request.get("MessageAttributeNames", ())]
    if not {"All", ".*", _BAGGAGE} & set(names):
        names.append(_BAGGAGE)
    asked = {_SYSTEM_NAMES: [*request.get(_SYSTEM_NAMES, ())], _OLDER_NAMES: [*request.get(_OLDER_NAMES, ())]}
    if not {"All", _TRACE_HEADER} & {*asked[_SYSTEM_NAMES], *asked[_OLDER_NAMES]}:
        asked[_system_names(client, request)].append(_TRACE_HEADER)
    return {**request, "MessageAttributeNames": names, **{name: found for name, found in asked.items() if found}}


def _system_names(client: Any, request: Kwargs) -> str:
    """Return the argument's name for system attributes: the service's, else the one that its boto3 supports."""
    known = client.meta.service_model.operation_model("ReceiveMessage").input_shape.members
    if _OLDER_NAMES in request and _SYSTEM_NAMES not in request:
        return _OLDER_NAMES
    return _SYSTEM_NAMES if _SYSTEM_NAMES in known else _OLDER_NAMES


def _delete(wrapped: Wrapped, _: object, args: Args, kwargs: Kwargs) -> Any:
    """Delete messages. The instrumentation ends a context here, but the service continues with the message's."""
    with kept():
        return wrapped(*args, **kwargs)


def _act(wrapped: Wrapped, action: Any, args: Args, kwargs: Kwargs) -> Any:
    """Perform an action of a resource. The messages that a queue returns are boto3 objects."""
    found = wrapped(*args, **kwargs)
    operation = getattr(getattr(getattr(action, "_action_model", None), "request", None), "operation", None)
    if operation == "ReceiveMessage" and isinstance(found, list):
        return Batch(found, _object_headers, args[0] if args else action)
    return found


def _headers(message: dict[str, Any]) -> Headers:
    attributes = message.get("MessageAttributes") or {}
    texts = {name: value["StringValue"] for name, value in attributes.items() if "StringValue" in value}
    return texts if _BAGGAGE in texts else {**texts, **_field(message.get("Attributes") or {})}


def _object_headers(message: Any) -> Headers:
    return _headers({"MessageAttributes": message.message_attributes, "Attributes": message.attributes})


def _field(system: dict[str, Any]) -> Headers:
    """Parse the field in X-Ray's tracing header."""
    parts = str(system.get(_TRACE_HEADER, "")).split(";")
    encoded = next((part.removeprefix(_FIELD) for part in parts if part.startswith(_FIELD)), None)
    if encoded is None:
        return {}
    try:
        return {_BAGGAGE: urlsafe_b64decode(encoded + "=" * (-len(encoded) % 4)).decode("latin-1")}
    except (Error, ValueError):
        return {}
