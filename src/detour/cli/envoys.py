"""What `sidecar`, `edge` and `bootstrap` have in common: options, and running one Envoy in the foreground."""

import asyncio
import signal
from collections.abc import Callable
from typing import Annotated, Any

import typer
from rich.console import Console

from detour.envoy import Edge, EnvoyError, Sidecar, edge_bootstrap, sidecar_bootstrap, start_envoy

Service = Annotated[str, typer.Option(help="The service that the application is an instance of.", metavar="NAME")]
AppPort = Annotated[int, typer.Option(help="Where the application listens on loopback.", min=1, max=65535)]
Instance = Annotated[str, typer.Option(help="The instance's name [default: the service's].", show_default=False)]
OutboundPort = Annotated[int, typer.Option(help="Where the application sends its requests.", min=1, max=65535)]
InboundPort = Annotated[int, typer.Option(help="Where requests for it arrive.", min=1, max=65535)]
InboundAddress = Annotated[str, typer.Option(help="The address that the inbound listener binds.", metavar="IP")]
AdminPort = Annotated[int, typer.Option(help="Envoy's admin interface, on loopback.", min=1, max=65535)]
ControlPlane = Annotated[
    str, typer.Option(envvar="DETOUR_CONTROL_PLANE", help="The server's xDS address.", metavar="IP:PORT")
]
Listen = Annotated[str, typer.Option(help="Where the edge listens.", metavar="IP:PORT")]
TrustOverrides = Annotated[
    bool, typer.Option("--trust-overrides", help="Honour overrides from outside instead of removing them.")
]


def bootstrap_of(envoy: Sidecar | Edge) -> dict[str, Any]:
    """Return the bootstrap of either kind."""
    return sidecar_bootstrap(envoy) if isinstance(envoy, Sidecar) else edge_bootstrap(envoy)


def run(envoy: Sidecar | Edge, greeting: str) -> None:
    """Run one Envoy until it ends or this process is told to.

    Raises:
        EnvoyError: It did not become ready, or ended by itself.
    """
    asyncio.run(_run(bootstrap_of(envoy), lambda: Console(stderr=True, highlight=False).print(greeting)))


async def _run(bootstrap: dict[str, Any], greet: Callable[[], None]) -> None:
    told = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, told.set)
    process = start_envoy(bootstrap)
    try:
        await process.ready()
        greet()
        ended, waiting = asyncio.create_task(process.ended()), asyncio.create_task(told.wait())
        await asyncio.wait({ended, waiting}, return_when=asyncio.FIRST_COMPLETED)
        if not told.is_set():
            raise EnvoyError(f"Envoy ended by itself with status {process.returncode}; its reason stands above")
    finally:
        await process.stop()
