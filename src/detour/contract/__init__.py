"""The HTTP API's requests and responses, as pydantic models that the server and the client share.

Invariant: every model has a unique name, which is its name in the OpenAPI document. Names of models end in `In` for
requests and in `Out` for responses. Requests with unknown fields are refused; unknown fields of responses are
ignored, so a client works with a newer server. Nothing here imports packages that only the server needs.
"""

from detour.contract.changes import ChangeListOut, ChangeOut, EventKind
from detour.contract.deployments import (
    CopyIn,
    CopyOut,
    DeploymentDetailOut,
    DeploymentIn,
    DeploymentListOut,
    DeploymentOut,
    ExtensionIn,
    ProgressOut,
    ProgressState,
    ServiceListOut,
    ServiceOut,
    UndoneOut,
)
from detour.contract.fields import EndpointText, Label, Name, Owner, Reason, ScenarioName, Ttl
from detour.contract.identities import (
    IdentityOut,
    NewTokenOut,
    OverrideTokenIn,
    OverrideTokenOut,
    Role,
    SignInMethod,
    SignInOut,
    TokenIn,
    TokenListOut,
    TokenOut,
)
from detour.contract.mistakes import explained
from detour.contract.overrides import (
    CheckIn,
    CheckOut,
    MistakeOut,
    SwitchIn,
    SwitchOut,
    SwitchState,
    WarningOut,
    collected,
)
from detour.contract.pages import Page
from detour.contract.problems import PROBLEM_MEDIA_TYPE, Problem
from detour.contract.scenarios import ResolvedOut, ScenarioIn, ScenarioListOut, ScenarioOut, ScenarioState
from detour.contract.status import (
    ClusterOut,
    DepartureOut,
    EnvoyOut,
    GoneOut,
    HealthOut,
    MeshFileOut,
    OpeningOut,
    RejectionOut,
    StatusOut,
)
from detour.contract.traffic import CallListOut, CallOut, ExpectedOut, HopOut, TrialIn, TrialOut

__all__ = [
    "PROBLEM_MEDIA_TYPE",
    "CallListOut",
    "CallOut",
    "ChangeListOut",
    "ChangeOut",
    "CheckIn",
    "CheckOut",
    "ClusterOut",
    "CopyIn",
    "CopyOut",
    "DepartureOut",
    "DeploymentDetailOut",
    "DeploymentIn",
    "DeploymentListOut",
    "DeploymentOut",
    "EndpointText",
    "EnvoyOut",
    "EventKind",
    "ExpectedOut",
    "ExtensionIn",
    "GoneOut",
    "HealthOut",
    "HopOut",
    "IdentityOut",
    "Label",
    "MeshFileOut",
    "MistakeOut",
    "Name",
    "NewTokenOut",
    "OpeningOut",
    "OverrideTokenIn",
    "OverrideTokenOut",
    "Owner",
    "Page",
    "Problem",
    "ProgressOut",
    "ProgressState",
    "Reason",
    "RejectionOut",
    "ResolvedOut",
    "Role",
    "ScenarioIn",
    "ScenarioListOut",
    "ScenarioName",
    "ScenarioOut",
    "ScenarioState",
    "ServiceListOut",
    "ServiceOut",
    "SignInMethod",
    "SignInOut",
    "StatusOut",
    "SwitchIn",
    "SwitchOut",
    "SwitchState",
    "TokenIn",
    "TokenListOut",
    "TokenOut",
    "TrialIn",
    "TrialOut",
    "Ttl",
    "UndoneOut",
    "WarningOut",
    "collected",
    "explained",
]
