"""What the API takes and gives, as JSON."""

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Annotated, Literal, Self

from pydantic import AfterValidator, AwareDatetime, BaseModel, Field, WithJsonSchema, model_validator

from detour.mesh import Endpoint, OffloadedDeployment, Protocol, Settings, is_line, is_name, parse_duration
from detour.offload.kubernetes.copying import Wanted
from detour.offload.kubernetes.progress import State
from detour.overrides import KINDS, PREFIX, Kind, Override, Overrides, append_to_baggage, read_entry
from detour.scenarios import DESCRIPTION_MAX, Draft, Scenario, is_scenario_name
from detour.scenarios import State as ScenarioState
from detour.server.api import patterns

_DEFAULT_TTL = "24h"
_QUOTED_MAX = 60


def _name(text: str) -> str:
    if not is_name(text):
        known = "at most 63 letters, digits, dots, dashes and underscores, the first a letter or digit"
        raise ValueError(f"expected a name of {known}, got {text[:_QUOTED_MAX]!r}")
    return text


def _endpoint(text: str) -> str:
    return str(Endpoint.parse(text))


def _ttl(text: str) -> str:
    parse_duration(text)
    return text


def _printable(text: str) -> str:
    if not is_line(text):
        raise ValueError("expected text without control characters")
    return text


def _scenario_name(text: str) -> str:
    if not is_scenario_name(text):
        known = "at most 63 small letters, digits and dashes, the first and the last no dash"
        raise ValueError(f"expected a name of {known}, got {text[:_QUOTED_MAX]!r}")
    return text


def _described(pattern: str) -> WithJsonSchema:
    return WithJsonSchema({"type": "string", "pattern": pattern})


Name = Annotated[str, AfterValidator(_name), _described(patterns.NAME)]
ScenarioName = Annotated[str, AfterValidator(_scenario_name), _described(patterns.SCENARIO)]
EndpointText = Annotated[str, AfterValidator(_endpoint), _described(patterns.ENDPOINT)]


Owner = Annotated[
    str, Field(max_length=100, json_schema_extra={"pattern": patterns.LINE}), AfterValidator(_printable)
]
Label = Annotated[
    str,
    Field(min_length=1, max_length=100, json_schema_extra={"pattern": patterns.LINE}),
    AfterValidator(_printable),
]
Ttl = Annotated[
    str,
    AfterValidator(_ttl),
    Field(description="how long it lives: 30m, 24h, 7d", json_schema_extra={"pattern": patterns.TTL}),
]
EnvName = Annotated[str, Field(pattern=r"^[-._a-zA-Z][-._a-zA-Z0-9]*$", max_length=253)]


class DeploymentIn(BaseModel, extra="forbid"):
    """An offloaded deployment to register."""

    service: Name
    name: Name
    endpoints: Annotated[
        list[EndpointText], Field(description="`ip:port` of each instance; none yet is allowed", max_length=1000)
    ]
    owner: Owner = ""
    ttl: Ttl = _DEFAULT_TTL

    def deployment(self) -> OffloadedDeployment:
        """Return the value that it stands for; its time begins."""
        return OffloadedDeployment(
            service=self.service,
            name=self.name,
            endpoints=tuple(Endpoint.parse(text) for text in self.endpoints),
            owner=self.owner,
            expires=datetime.now(UTC) + parse_duration(self.ttl),
        )


class CopyIn(BaseModel, extra="forbid"):
    """An offloaded deployment to be made in the cluster: a copy of the live baseline with another image."""

    service: Name
    name: Name
    image: Annotated[str, Field(min_length=1, max_length=1000, pattern=r"^[A-Za-z0-9][A-Za-z0-9._:/@+-]*$")]
    owner: Owner = ""
    ttl: Ttl = _DEFAULT_TTL
    commit: Annotated[str, Field(max_length=200, description="what the image was built from")] = ""
    env: Annotated[
        dict[EnvName, str],
        Field(
            description="variables beside the baseline's, or in their place",
            max_length=1000,
            json_schema_extra={"additionalProperties": False},
        ),
    ] = {}
    replicas: Annotated[int, Field(ge=1, le=100)] = 1
    command: Annotated[str, Field(max_length=10_000, description="as a shell would split it")] = ""
    pull_secret: Annotated[str, Field(max_length=253)] = ""
    container: Annotated[str, Field(max_length=63, description="the one that the image is for")] = ""
    keep: Annotated[bool, Field(description="it stays although it did not become Ready")] = False

    def wanted(self) -> Wanted:
        """Return the value that it stands for; its time begins."""
        expires = datetime.now(UTC) + parse_duration(self.ttl)
        return Wanted(roll="", expires=expires, **self.model_dump(exclude={"ttl"}))


class ExtensionIn(BaseModel, extra="forbid"):
    """How much longer a deployment is to live."""

    ttl: Ttl
    owner: Annotated[Owner | None, Field(description="who asks; refused if it is another's")] = None


class ProgressOut(BaseModel):
    """How a copy in the cluster is coming on."""

    state: State
    ready: int
    wanted: int
    step: Annotated[str, Field(description="what is happening, or what went wrong")]
    events: Annotated[list[str], Field(description="what Kubernetes says about it")]
    log: Annotated[list[str], Field(description="the last lines of a container that failed")]


class UndoneOut(BaseModel):
    """What was done."""

    what: str


class DeploymentOut(BaseModel):
    """An offloaded deployment as the mesh has it."""

    service: str
    name: str
    endpoints: list[str]
    owner: str
    expires: datetime | None
    source: Annotated[str, Field(description="`mesh file`, `registered` or `cluster`")]


class DeploymentDetailOut(DeploymentOut):
    """An offloaded deployment, and how its copy in the cluster is."""

    progress: ProgressOut | None


class ServiceOut(BaseModel):
    """A service of the mesh."""

    name: str
    protocol: Protocol
    endpoints: list[str]
    deployments: list[str]


class RejectionOut(BaseModel):
    """Resources that an Envoy refused."""

    type: str
    names: list[str]
    message: str


class EnvoyOut(BaseModel):
    """An Envoy that is connected, and what it holds."""

    node: str
    service: str
    role: str
    since: datetime
    sent_bytes: int
    pending: Annotated[int, Field(description="responses that it has neither acknowledged nor rejected yet")]
    acknowledged: Annotated[
        dict[str, dict[str, str]], Field(description="by type of resource, names and the versions that it holds")
    ]
    rejections: list[RejectionOut]


class MeshFileOut(BaseModel):
    """The mesh file, and what is wrong with it since the last good one."""

    path: str
    problem: str | None


class ClusterOut(BaseModel):
    """The cluster whose Services make the mesh, and what is wrong there."""

    namespaces: str
    problems: list[str]


class DepartureOut(BaseModel):
    """Requests with overrides that a service sent to a host outside the mesh, where overrides have no effect."""

    caller: str
    host: str
    overridden: Annotated[list[str], Field(description="the services that their overrides were for")]
    suspected: Annotated[
        str, Field(description="the overridden service that the host looks like by another name; empty if none")
    ]
    requests: int
    last: datetime


class GoneOut(BaseModel):
    """An Envoy that was connected to this server, and has ended or goes on without it."""

    node: str
    service: str
    since: datetime


class OpeningOut(BaseModel):
    """Requests that a sidecar sent past the mesh because the control plane did not answer."""

    service: str
    instance: Annotated[str, Field(description="the sidecar's node id")]
    began: datetime
    ended: Annotated[datetime, Field(description="when they were reported")]
    requests: int


class SwitchOut(BaseModel):
    """Whether overrides count, in the whole mesh."""

    state: Annotated[Literal["on", "off"], Field(description="`off`: every request is the baseline's")]
    reason: Annotated[str, Field(description="why, in the words of who switched them; may be empty")]
    by: Annotated[str, Field(description="who that was; empty if nobody ever did")]
    since: datetime | None


class SwitchIn(BaseModel, extra="forbid"):
    """What overrides are to be."""

    state: Annotated[Literal["on", "off"], Field(description="`off` has the whole mesh ignore overrides")]
    reason: Annotated[
        str,
        Field(
            description="why, for everybody whose overrides are ignored",
            max_length=200,
            json_schema_extra={"pattern": patterns.LINE},
        ),
        AfterValidator(_printable),
    ] = ""


class StatusOut(BaseModel):
    """The whole of what the server knows about itself."""

    version: str
    mesh_file: MeshFileOut | None
    cluster: ClusterOut | None
    services: int
    deployments: int
    failures: Annotated[list[str], Field(description="what does not work at the moment, a line each")]
    overrides: SwitchOut
    gone: Annotated[list[GoneOut], Field(description="Envoys that went within an hour, and have not come back")]
    openings: Annotated[
        list[OpeningOut], Field(description="sidecars that went on without a control plane, within an hour")
    ]
    envoys: list[EnvoyOut]
    departures: Annotated[
        list[DepartureOut], Field(description="requests with overrides that left the mesh within an hour")
    ]


class HealthOut(BaseModel):
    """That the server answers."""

    status: str = "ok"


class ScenarioIn(BaseModel, extra="forbid"):
    """What a person decides about a scenario."""

    overrides: Annotated[
        dict[str, str],
        Field(
            description="key and value of each, as in the baggage; `override.` in front may be left out",
            examples=[{"route.users": "pr-42", "delay.payments": "300ms", "config.new-checkout": "on"}],
            min_length=1,
            max_length=64,
            json_schema_extra=patterns.OVERRIDES,
        ),
    ]
    owner: Annotated[Owner | None, Field(description="by default who makes it")] = None
    description: Annotated[str, Field(max_length=DESCRIPTION_MAX, json_schema_extra={"pattern": patterns.TEXT})] = (
        ""
    )
    expires: Annotated[AwareDatetime | None, Field(description="when it can't be entered any more")] = None

    @model_validator(mode="after")
    def _is_possible(self) -> Self:
        self.draft(owner="")
        return self

    def draft(self, owner: str) -> Draft:
        """Return the value that it stands for; the owner is this one if it does not say."""
        overrides = collected(self.overrides)
        return Draft(overrides, owner if self.owner is None else self.owner, self.description, self.expires)


def collected(overrides: Mapping[str, str]) -> Overrides:
    """Return overrides that are written as in the baggage, or without `override.` in front.

    Raises:
        ValueError: One of them is none.
    """
    return Overrides.collect(_override(key, value) for key, value in overrides.items())


def _override(key: str, value: str) -> Override:
    short = key.removeprefix(PREFIX)
    read = read_entry(PREFIX + short, value)
    if isinstance(read, Override):
        return read
    if short.partition(".")[0] in KINDS:
        raise ValueError(f"overrides.{key}: {read.why.replace(PREFIX, '')}")
    known = ", ".join(f"{kind}.NAME" if kind.subject else kind for kind in Kind)
    raise ValueError(f"overrides.{key}: expected one of {known}, as in route.users")


class ScenarioOut(BaseModel):
    """One version of a scenario."""

    name: str
    version: int
    overrides: dict[str, str]
    baggage: Annotated[str, Field(description="the header that puts a request into it")]
    links: Annotated[list[str], Field(description="what opens the app in it; none if the mesh has no `edge.url`")]
    owner: str
    description: str
    expires: datetime | None
    state: ScenarioState
    changed: datetime
    changed_by: str

    @staticmethod
    def of(scenario: Scenario, now: datetime, settings: Settings) -> "ScenarioOut":
        """Return a scenario as it is at a moment, in a mesh with these settings."""
        return ScenarioOut(
            name=scenario.name,
            version=scenario.version,
            overrides={one.key.removeprefix(PREFIX): one.value for one in scenario.overrides},
            baggage=append_to_baggage(None, scenario.overrides),
            links=list(settings.links(scenario.name)),
            owner=scenario.owner,
            description=scenario.description,
            expires=scenario.expires,
            state=scenario.state(now),
            changed=scenario.changed,
            changed_by=scenario.changed_by,
        )


class ResolvedOut(BaseModel):
    """The header that puts a request into a scenario."""

    name: str
    version: int
    header: str = "baggage"
    value: str


class ChangeOut(BaseModel):
    """Who changed what, and when."""

    revision: int
    at: datetime
    who: str
    action: str
    kind: str
    subject: str
    version: int | None
