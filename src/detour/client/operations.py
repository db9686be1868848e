"""The operations of the API as values: the contents of a request, and how to read its response. No I/O.

Invariant: each function has the name of its operation in the OpenAPI document, in snake case, and marks the
operation as safe or not. A safe request changes nothing, so a client may retry it (RFC 9110, section 9.2.1).
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Final, Generic, Literal, TypeVar
from urllib.parse import quote

from pydantic import BaseModel

from detour.contract import (
    CallListOut,
    CallOut,
    ChangeListOut,
    ChangeOut,
    CheckIn,
    CheckOut,
    CopyIn,
    CopyOut,
    DeploymentDetailOut,
    DeploymentIn,
    DeploymentListOut,
    DeploymentOut,
    ExtensionIn,
    HealthOut,
    IdentityOut,
    NewTokenOut,
    OverrideTokenIn,
    OverrideTokenOut,
    Page,
    ResolvedOut,
    ScenarioIn,
    ScenarioListOut,
    ScenarioOut,
    ServiceListOut,
    ServiceOut,
    SignInOut,
    StatusOut,
    SwitchIn,
    SwitchOut,
    TokenIn,
    TokenListOut,
    TokenOut,
    TrialIn,
    TrialOut,
    UndoneOut,
)

PAGE_MAX: Final = 1000
"""Maximum number of items on a page."""

Result = TypeVar("Result")
Item = TypeVar("Item")
Model = TypeVar("Model", bound=BaseModel)
Value = str | int | Sequence[str]
Method = Literal["GET", "POST", "PUT", "PATCH", "DELETE"]


@dataclass(frozen=True, slots=True)
class Operation(Generic[Result]):
    """A request, and how to read its response.

    Args:
        method: The HTTP method.
        path: Relative to the server's URL, percent-encoded.
        read: Converts the body of a successful response; raises ValueError if the body does not fit.
        query: Parameters of the query; those that are None are left out.
        headers: Headers in addition to those of every request.
        body: Sent as JSON.
        is_safe: Whether the request changes nothing.
        is_open: Whether it needs no authentication; then no token is sent.
        accepts: The media type of a successful response.
    """

    method: Method
    path: str
    read: Callable[[bytes], Result]
    query: Mapping[str, Value | None] = field(default_factory=dict)
    headers: Mapping[str, str] = field(default_factory=dict)
    body: BaseModel | None = None
    is_safe: bool = False
    is_open: bool = False
    accepts: str = "application/json"


@dataclass(frozen=True, slots=True)
class Listing(Generic[Item]):
    """A list that is fetched page by page.

    Args:
        first: The request for the first page.
    """

    first: Operation[Page[Item]]

    def after(self, page: Page[Item]) -> Operation[Page[Item]] | None:
        """Return the request for the next page; None after the last one."""
        return replace(self.first, query={**self.first.query, "cursor": page.next}) if page.next else None


def get_health() -> Operation[HealthOut]:
    """Check that the server runs."""
    return _get("/healthz", HealthOut, is_open=True)


def get_readiness() -> Operation[HealthOut]:
    """Check that the server serves Envoys; raises `UnavailableError` until it does."""
    return _get("/readyz", HealthOut, is_open=True)


def get_status() -> Operation[StatusOut]:
    """Return the state of the server, and of the Envoys that are connected to it."""
    return _get("/v1/status", StatusOut)


def get_metrics() -> Operation[str]:
    """Return the server's metrics, in the format of Prometheus."""
    return Operation("GET", "/metrics", _text, is_safe=True, is_open=True, accepts="text/plain")


def list_services() -> Listing[ServiceOut]:
    """List the services of the mesh, by name."""
    return _list("/v1/services", ServiceListOut)


def list_deployments() -> Listing[DeploymentOut]:
    """List the offloaded deployments, by service and name."""
    return _list("/v1/deployments", DeploymentListOut)


def get_deployment(service: str, name: str) -> Operation[DeploymentDetailOut]:
    """Return an offloaded deployment, and the progress of its copy."""
    return _get(_deployment(service, name), DeploymentDetailOut)


def register_deployment(deployment: DeploymentIn) -> Operation[DeploymentOut]:
    """Register an offloaded deployment, or replace one that the caller owns."""
    return Operation("POST", "/v1/deployments", _model(DeploymentOut), body=deployment)


def extend_deployment(service: str, name: str, extension: ExtensionIn) -> Operation[DeploymentOut]:
    """Set when an offloaded deployment expires, counted from now."""
    return Operation("PATCH", _deployment(service, name), _model(DeploymentOut), body=extension)


def remove_deployment(service: str, name: str, *, owner: str | None = None) -> Operation[None]:
    """Remove an offloaded deployment; with `owner`, only if it belongs to them."""
    return Operation("DELETE", _deployment(service, name), _no_content, query={"owner": owner})


def create_copy(copy: CopyIn) -> Operation[CopyOut]:
    """Copy a service's live baseline in the cluster with another image, or roll an existing copy."""
    return Operation("POST", "/v1/copies", _model(CopyOut), body=copy)


def undo_copy(service: str, name: str) -> Operation[UndoneOut]:
    """Undo the last change of a copy."""
    return Operation("POST", f"{_deployment(service, name)}/undo", _model(UndoneOut))


def get_deployment_log(service: str, name: str, *, tail: int = 100, follow: bool = False) -> Operation[str]:
    """Return the log of the newest pod of a copy; clients read it line by line."""
    query = {"tail": tail, "follow": "true" if follow else "false"}
    path = f"{_deployment(service, name)}/log"
    return Operation("GET", path, _text, query=query, is_safe=True, accepts="text/plain")


def list_scenarios(
    *, state: Literal["live", "expired", "removed", "all"] = "live", owner: str | None = None
) -> Listing[ScenarioOut]:
    """List scenarios, by name."""
    return _list("/v1/scenarios", ScenarioListOut, limit=PAGE_MAX, state=state, owner=owner)


def get_scenario(name: str) -> Operation[ScenarioOut]:
    """Return a scenario, even if it has expired or was removed: see `state`."""
    return _get(_scenario(name), ScenarioOut)


def list_scenario_versions(name: str) -> Listing[ScenarioOut]:
    """List the versions of a scenario, newest first."""
    return _list(f"{_scenario(name)}/versions", ScenarioListOut, limit=PAGE_MAX)


def get_scenario_version(name: str, version: int) -> Operation[ScenarioOut]:
    """Return one version of a scenario."""
    return _get(f"{_scenario(name)}/versions/{version}", ScenarioOut)


def resolve_scenario(name: str) -> Operation[ResolvedOut]:
    """Return the header that puts a request into a scenario."""
    return _get(f"{_scenario(name)}/resolve", ResolvedOut)


def get_scenario_qr(name: str) -> Operation[str]:
    """Return the first link of a scenario as a QR code in block characters, for terminals."""
    return Operation("GET", f"{_scenario(name)}/qr", _text, is_safe=True, accepts="text/plain")


def save_scenario(
    name: str, scenario: ScenarioIn, *, version: int | None = None, force: bool = False
) -> Operation[ScenarioOut]:
    """Create a scenario; with the `version` that you read, create its next version.

    Raises `PreconditionFailedError` if the scenario exists already, or if it was changed since. With `force`,
    overrides may name services and deployments that the mesh does not have yet.
    """
    return Operation(
        "PUT",
        _scenario(name),
        _model(ScenarioOut),
        query={"force": "true" if force else None},
        headers={"if-none-match": "*"} if version is None else _if_match(version),
        body=scenario,
    )


def remove_scenario(name: str, version: int) -> Operation[None]:
    """Remove a scenario whose last known version is `version`; its versions can still be read."""
    return Operation("DELETE", _scenario(name), _no_content, headers=_if_match(version))


def check_overrides(overrides: CheckIn) -> Operation[CheckOut]:
    """Return the overrides that name an unknown service or deployment, each with the nearest known one."""
    # A POST only because it has a body: it changes nothing.
    return Operation("POST", "/v1/overrides/check", _model(CheckOut), body=overrides, is_safe=True)


def issue_override_token(token: OverrideTokenIn) -> Operation[OverrideTokenOut]:
    """Issue a token with which an edge accepts the overrides of requests from outside."""
    return Operation("POST", "/v1/override-tokens", _model(OverrideTokenOut), body=token)


def get_switch() -> Operation[SwitchOut]:
    """Return whether the mesh honours overrides."""
    return _get("/v1/overrides", SwitchOut)


def set_switch(switch: SwitchIn) -> Operation[SwitchOut]:
    """Make the whole mesh ignore overrides and scenarios, or honour them again; only admins may."""
    return Operation("PUT", "/v1/overrides", _model(SwitchOut), body=switch)


def list_calls() -> Listing[CallOut]:
    """List which services called which in the last minute."""
    return _list("/v1/calls", CallListOut)


def try_request(trial: TrialIn) -> Operation[TrialOut]:
    """Send a request through the edge, and return each of its hops."""
    return Operation("POST", "/v1/trials", _model(TrialOut), body=trial)


def list_changes() -> Listing[ChangeOut]:
    """List who changed what, newest first; each page is fetched when the iteration reaches it."""
    return _list("/v1/changes", ChangeListOut)


def get_identity() -> Operation[IdentityOut]:
    """Return the caller's name and role."""
    return _get("/v1/me", IdentityOut)


def get_sign_in() -> Operation[SignInOut]:
    """Return how to sign in."""
    return _get("/v1/sign-in", SignInOut, is_open=True)


def list_tokens() -> Listing[TokenOut]:
    """List the caller's API tokens; for admins, all tokens."""
    return _list("/v1/tokens", TokenListOut)


def create_token(token: TokenIn) -> Operation[NewTokenOut]:
    """Create an API token."""
    return Operation("POST", "/v1/tokens", _model(NewTokenOut), body=token)


def remove_token(id: str) -> Operation[None]:  # noqa: A002  the API's name for it
    """Remove an API token."""
    return Operation("DELETE", f"/v1/tokens/{_segment(id)}", _no_content)


def stream_events(*kinds: str, seconds: int | None = None) -> Operation[str]:
    """Stream live events of these kinds, or of all; clients read them one by one."""
    query: dict[str, Value | None] = {"kind": kinds, "seconds": seconds}
    return Operation("GET", "/v1/events", _text, query=query, is_safe=True, accepts="text/event-stream")


def _get(path: str, model: type[Model], *, is_open: bool = False) -> Operation[Model]:
    return Operation("GET", path, _model(model), is_safe=True, is_open=is_open)


def _list(path: str, model: type[Page[Item]], **query: str | int | None) -> Listing[Item]:
    return Listing(Operation("GET", path, model.model_validate_json, query=query, is_safe=True))


def _model(model: type[Model]) -> Callable[[bytes], Model]:
    return model.model_validate_json


def _text(body: bytes) -> str:
    return body.decode()


def _no_content(_body: bytes) -> None:
    return None


def _if_match(version: int) -> dict[str, str]:
    return {"if-match": f'"{version}"'}


def _deployment(service: str, name: str) -> str:
    return f"/v1/deployments/{_segment(service)}/{_segment(name)}"


def _scenario(name: str) -> str:
    return f"/v1/scenarios/{_segment(name)}"


def _segment(text: str) -> str:
    """Percent-encode a text as one segment of a path."""
    # Clients remove segments that consist of dots (RFC 3986, section 5.2.4).
    return quote(text, safe="") if text.strip(".") else text.replace(".", "%2E")


def query_of(operation: Operation[Any]) -> dict[str, Value]:
    """Return the query parameters of an operation that have a value."""
    return {name: value for name, value in operation.query.items() if value is not None}
