"""A typed client of the HTTP API, for blocking and for asynchronous programs.

    from detour.client import Client, DeploymentIn, NotFoundError

    with Client.from_environment() as detour:
        detour.register_deployment(DeploymentIn(service="users", name="pr-42", endpoints=["127.0.0.1:9102"]))
        for event in detour.stream_events("deployment"):
            ...

Methods have the names of the API's operations, and take and return the models of `detour.contract`. Every error is
a `ClientError`; if the server refuses a request, it is a `ProblemError` of the subclass for the HTTP status.

Invariant: importing this package loads neither httpx nor pydantic; using one of its names does.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from detour.client.async_client import AsyncClient
    from detour.client.blocking_client import Client
    from detour.client.credentials import Credentials
    from detour.client.errors import (
        BadRequestError,
        ClientError,
        ConflictError,
        GoneError,
        InvalidRequestError,
        MethodNotAllowedError,
        NotFoundError,
        NotSignedInError,
        NotSupportedError,
        PermissionDeniedError,
        PreconditionFailedError,
        PreconditionRequiredError,
        ProblemError,
        ServerFailedError,
        SignInError,
        TooManyRequestsError,
        UnavailableError,
        UnexpectedAnswerError,
        UnreachableError,
        UntrustedServerError,
    )
    from detour.client.events import CONNECTED, Event
    from detour.client.server_address import DEFAULT_SERVER, SERVER_VARIABLE
    from detour.client.signing_in import Confirm, sign_in, sign_in_async
    from detour.contract import (
        CallOut,
        ChangeOut,
        CheckIn,
        CheckOut,
        CopyIn,
        CopyOut,
        DeploymentDetailOut,
        DeploymentIn,
        DeploymentOut,
        EventKind,
        ExtensionIn,
        HealthOut,
        IdentityOut,
        MistakeOut,
        NewTokenOut,
        OverrideTokenIn,
        OverrideTokenOut,
        Problem,
        ProgressOut,
        ProgressState,
        ResolvedOut,
        Role,
        ScenarioIn,
        ScenarioOut,
        ScenarioState,
        ServiceOut,
        SignInMethod,
        SignInOut,
        StatusOut,
        SwitchIn,
        SwitchOut,
        SwitchState,
        TokenIn,
        TokenOut,
        TrialIn,
        TrialOut,
        UndoneOut,
        WarningOut,
    )

__all__ = [
    "CONNECTED",
    "DEFAULT_SERVER",
    "SERVER_VARIABLE",
    "AsyncClient",
    "BadRequestError",
    "CallOut",
    "ChangeOut",
    "CheckIn",
    "CheckOut",
    "Client",
    "ClientError",
    "Confirm",
    "ConflictError",
    "CopyIn",
    "CopyOut",
    "Credentials",
    "DeploymentDetailOut",
    "DeploymentIn",
    "DeploymentOut",
    "Event",
    "EventKind",
    "ExtensionIn",
    "GoneError",
    "HealthOut",
    "IdentityOut",
    "InvalidRequestError",
    "MethodNotAllowedError",
    "MistakeOut",
    "NewTokenOut",
    "NotFoundError",
    "NotSignedInError",
    "NotSupportedError",
    "OverrideTokenIn",
    "OverrideTokenOut",
    "PermissionDeniedError",
    "PreconditionFailedError",
    "PreconditionRequiredError",
    "Problem",
    "ProblemError",
    "ProgressOut",
    "ProgressState",
    "ResolvedOut",
    "Role",
    "ScenarioIn",
    "ScenarioOut",
    "ScenarioState",
    "ServerFailedError",
    "ServiceOut",
    "SignInError",
    "SignInMethod",
    "SignInOut",
    "StatusOut",
    "SwitchIn",
    "SwitchOut",
    "SwitchState",
    "TokenIn",
    "TokenOut",
    "TooManyRequestsError",
    "TrialIn",
    "TrialOut",
    "UnavailableError",
    "UndoneOut",
    "UnexpectedAnswerError",
    "UnreachableError",
    "UntrustedServerError",
    "WarningOut",
    "sign_in",
    "sign_in_async",
]

_MODULES: Final = (
    "detour.client.errors",
    "detour.client.events",
    "detour.client.credentials",
    "detour.client.server_address",
    "detour.contract",
    "detour.client.signing_in",
    "detour.client.blocking_client",
    "detour.client.async_client",
)


def __getattr__(name: str) -> Any:
    """Load a name when it is first used: loading httpx and pydantic takes half a second."""
    if name in __all__:
        for module in map(import_module, _MODULES):
            if hasattr(module, name):
                return getattr(module, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
