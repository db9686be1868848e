"""A server whose mesh has a service with ports that sidecars do not read, as only a cluster's services can have."""

from collections.abc import AsyncIterator, Sequence
from contextlib import ExitStack, asynccontextmanager
from pathlib import Path

from detour.database import Database
from detour.mesh import Endpoint, Mesh, OffloadedDeployment, Port, Protocol, Service, Settings
from detour.offload.registry import Registry
from detour.server import ControlPlane
from detour.server.followed_database import FollowedDatabase
from detour.server.scenario_book import ScenarioBook
from detour.server.sources import Registered, Source

AT = (Endpoint("127.0.0.1", 9001),)
BOTH = Service("both", AT, ports={80: Port(endpoints=AT), 5432: Port(Protocol.TCP, AT)})
DB = Service("db", AT, Protocol.TCP, ports={5432: Port(Protocol.TCP, AT)})
WARNING = (
    "both has protocol tcp at port 5432: sidecars pass connections to it through unread, so overrides have no"
    " effect there; they apply to its other ports. If it speaks HTTP or gRPC in plain text, declare that (in the"
    " mesh file protocol: http1 or http2; on Kubernetes appProtocol: http or grpc, or a port name that begins with"
    " http or grpc)"
)
REFUSAL = (
    "db has protocol tcp at port 5432: sidecars pass its connections through unread, so no override can choose"
)


class _Fixed(Source):
    """A source that does not change."""

    @property
    def problems(self) -> Sequence[str]:
        return ()

    async def follow(self) -> None:
        return


class _Copying:
    """Creates no copy, and says that it has."""

    async def create(self, _wanted: object) -> Sequence[str]:
        return ()

    async def progress(self, _service: str, _name: str) -> None:
        return


@asynccontextmanager
async def partly_read_plane(folder: Path, settings: Settings | None = None) -> AsyncIterator[ControlPlane]:
    """Run a control plane with `both`, `db` and `users`."""
    users = Service("users", AT)
    mesh = Mesh.of([BOTH, DB, users], [OffloadedDeployment("both", "filed", AT)], settings)
    with ExitStack() as stack:
        registered = Registered(stack.enter_context(Registry(folder / "state.db")))
        records = FollowedDatabase(stack.enter_context(Database(f"sqlite:///{folder}/scenarios.db")))
        fixed = _Fixed("cluster", mesh, is_writable=False, status_field=None)
        plane = ControlPlane([fixed, registered], registered, copies=_Copying(), book=ScenarioBook(records))
        plane.is_ready = True
        try:
            yield plane
        finally:
            await plane.ads.stop()
