"""Runs the demo's mesh: the control plane, the instances, an Envoy beside each of them, and one at the edge.

Invariant: when the mesh is left, in whatever way, every process that it started has ended.
"""

import asyncio
import os
import sys
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Any, Final, Self

import yaml

from detour.client import AsyncClient, ClientError
from detour.client.retrying import Retries
from detour.demo.layout import Layout
from detour.demo.machine import folder
from detour.demo.processes import Process, Running, stop_all
from detour.demo.topology import GO, PYTHON, QUEUE, TYPESCRIPT, Instance, Topology
from detour.envoy import EnvoyProcess, edge_bootstrap, sidecar_bootstrap, start_envoy

_READY_SECONDS = 60

CONTROL_PLANE: Final = "control plane"
SERVICES: Final = "services"
ENVOYS: Final = "Envoys"
BROKER: Final = "broker"

_PROGRAMS: Final = {
    PYTHON: (sys.executable, "-m", "detour.demo.instance"),
    GO: (str(folder(GO) / "dist" / "service"),),
    TYPESCRIPT: ("node", str(folder(TYPESCRIPT) / "dist" / "instance.js")),
}
"""The program that runs an instance, by the service's language."""


def stages(topology: Topology) -> dict[str, int]:
    """Return the stages of the start, each with its number of processes."""
    instances = len(topology.instances)
    broker = {BROKER: 1} if _has_queues(topology) else {}
    return {CONTROL_PLANE: 1, **broker, SERVICES: instances, ENVOYS: instances + 1}


Advance = Callable[[str], None]
"""Called with a stage whenever one more of its processes is ready."""


class Mesh:
    """The processes of the mesh; as a context manager, it ends them all on exit.

    Args:
        folder: An existing, empty folder for the mesh file, the server's state and the logs.

    Attributes:
        logs: The folder for the output of each process.
    """

    def __init__(self, layout: Layout, folder: Path) -> None:
        self._layout = layout
        self._topology = layout.topology
        self._folder = folder
        self.logs = folder / "logs"
        self._processes: dict[str, Running] = {}

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await stop_all(self._processes.values())

    def ended(self) -> list[str]:
        """Return the names of processes that have ended unexpectedly."""
        return [name for name, process in self._processes.items() if process.returncode is not None]

    async def start(self, advance: Advance) -> None:
        """Start all processes and wait until they are ready.

        Envoys start when the control plane is ready, so that none has to wait for its next retry.

        Raises:
            ProcessError: A service or the control plane did not start.
            EnvoyError: An Envoy did not start.
        """
        self.logs.mkdir()
        server = self._start_control_plane()
        if _has_queues(self._topology):
            await self._start_broker().ready(partial(accepts, self._layout.broker), _READY_SECONDS)
            advance(BROKER)
        instances = self._topology.instances
        services = [(self._start_instance(one), self._layout.instances[one.name].app) for one in instances]
        await server.ready(partial(_is_healthy, self._layout), _READY_SECONDS)
        advance(CONTROL_PLANE)
        envoys = [*(self._start_sidecar(one) for one in instances), self._start_edge()]
        await asyncio.gather(
            *(_service_ready(process, port, advance) for process, port in services),
            *(_envoy_ready(envoy, advance) for envoy in envoys),
        )

    def _start_control_plane(self) -> Process:
        # The mesh file has a folder of its own: the server watches that folder for changes.
        mesh_file = self._folder / "mesh" / "mesh.yaml"
        mesh_file.parent.mkdir()
        mesh_file.write_text(yaml.safe_dump(self._layout.mesh_file(), sort_keys=False), encoding="utf-8")
        addresses = ("--xds", self._layout.xds_address, "--api", self._layout.api_address)
        files = ("--mesh", str(mesh_file), "--state", str(self._folder / "state.db"))
        return self._start_python(CONTROL_PLANE, ["detour", "serve", *files, *addresses], os.environ)

    def _start_instance(self, instance: Instance) -> Process:
        ports = self._layout.instances[instance.name]
        environment = {**service_environment(os.environ, ports.outbound), "REDIS_URL": self._layout.broker_url}
        return self._start(instance.name, instance_command(self._topology, instance, ports.app), environment)

    def _start_broker(self) -> Process:
        options = {"bind": "127.0.0.1", "port": str(self._layout.broker), "dir": str(self._folder), "save": ""}
        # A process title would overwrite the environment, which identifies the process as ours.
        options["set-proc-title"] = "no"
        arguments = (part for name, value in options.items() for part in (f"--{name}", value))
        process = Process(BROKER, ["redis-server", *arguments], os.environ, self._log(BROKER))
        self._processes[BROKER] = process
        return process

    def _start_sidecar(self, instance: Instance) -> EnvoyProcess:
        return self._start_envoy(f"sidecar of {instance.name}", sidecar_bootstrap(self._layout.sidecar(instance)))

    def _start_edge(self) -> EnvoyProcess:
        return self._start_envoy("edge", edge_bootstrap(self._layout.edge_envoy()))

    def _start_python(self, name: str, arguments: list[str], environment: Mapping[str, str]) -> Process:
        return self._start(name, [sys.executable, "-m", *arguments], environment)

    def _start(self, name: str, command: list[str], environment: Mapping[str, str]) -> Process:
        process = Process(name, command, environment, self._log(name))
        self._processes[name] = process
        return process

    def _start_envoy(self, name: str, bootstrap: dict[str, Any]) -> EnvoyProcess:
        process = start_envoy(bootstrap, self._log(name))
        self._processes[name] = process
        return process

    def _log(self, name: str) -> Path:
        return self.logs / f"{name.replace(' ', '-')}.log"


def _has_queues(topology: Topology) -> bool:
    return any(one.scheme == QUEUE for one in topology)


def instance_command(topology: Topology, instance: Instance, port: int) -> list[str]:
    """Return the command of an instance that listens on a loopback port; all languages take the same arguments."""
    program = _PROGRAMS[topology.service(instance.service).language]
    identity = ["--service", instance.service, "--name", instance.name, "--port", str(port)]
    deployment = ["--deployment", instance.deployment] if instance.deployment else []
    speaks = ["--speaks", topology.service(instance.service).scheme]
    called = (topology.service(name) for name in topology.calls(instance.service))
    calls = (part for one in called for part in ("--call", f"{one.name}={one.address}"))
    return [*program, *identity, *deployment, *speaks, *calls]


def service_environment(environment: Mapping[str, str], proxy_port: int) -> dict[str, str]:
    """Return the environment of a service that sends HTTP through the proxy on that loopback port.

    Other proxy variables are removed, because grpcio prefers `https_proxy`; so are `OTEL_*` variables, which could
    change the propagators.
    """
    kept = {
        name: value
        for name, value in environment.items()
        if not name.lower().endswith("_proxy") and not name.startswith("OTEL_")
    }
    return {**kept, "http_proxy": f"http://127.0.0.1:{proxy_port}"}


async def _service_ready(process: Process, port: int, advance: Advance) -> None:
    await process.ready(partial(accepts, port), _READY_SECONDS)
    advance(SERVICES)


async def _envoy_ready(envoy: EnvoyProcess, advance: Advance) -> None:
    await envoy.ready(_READY_SECONDS)
    advance(ENVOYS)


async def accepts(port: int) -> bool:
    """Return whether something listens on the loopback port."""
    try:
        _, writer = await asyncio.open_connection("127.0.0.1", port)
    except OSError:
        return False
    writer.close()
    return True


async def _is_healthy(layout: Layout) -> bool:
    if not await accepts(layout.api):
        return False
    async with AsyncClient(layout.api_url, retries=Retries(most=0)) as server:
        try:
            await server.get_health()
        except ClientError:
            return False
    return True
