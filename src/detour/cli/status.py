"""`detour status`: what is connected, what each Envoy has acknowledged, and what it refused."""

import json
from typing import Any

import typer
from rich.console import Console
from rich.table import Table

from detour.cli.client import DEFAULT_SERVER, AsJson, Server, request

_CLUSTERS = "Cluster"


def status(server: Server = DEFAULT_SERVER, as_json: AsJson = False) -> None:
    """Show the server, its mesh file, and every Envoy that is connected."""
    found = request(server, "GET", "/v1/status")
    if as_json:
        typer.echo(json.dumps(found, indent=2))
        return
    console = Console()
    mesh_file = found["mesh_file"]
    console.print(
        f"[bold]{mesh_file['path']}[/]: {found['services']} services, {found['deployments']} offloaded deployments"
    )
    if mesh_file["problem"]:
        console.print("[red]The mesh file has mistakes; the last good mesh is in force:[/]")
        console.print(mesh_file["problem"], markup=False, highlight=False)
    for failure in found["failures"]:
        console.print(f"[red]could not be built:[/] {failure}", highlight=False)
    if not found["envoys"]:
        console.print("No Envoy is connected. Start one: detour sidecar --service NAME --app-port PORT")
        return
    console.print(_table(found["envoys"]))
    _print_rejections(console, found["envoys"])


def _table(envoys: list[dict[str, Any]]) -> Table:
    table = Table("envoy", "service", "holds", "received", "state", box=None, pad_edge=False)
    for envoy in envoys:
        clusters = ", ".join(sorted(envoy["acknowledged"].get(_CLUSTERS, {}))) or "nothing yet"
        table.add_row(envoy["node"], envoy["service"], clusters, f"{envoy['sent_bytes']:,} B", _state(envoy))
    return table


def _state(envoy: dict[str, Any]) -> str:
    if envoy["rejections"]:
        return f"[red]{len(envoy['rejections'])} rejected[/]"
    return f"[yellow]{envoy['pending']} pending[/]" if envoy["pending"] else "[green]up to date[/]"


def _print_rejections(console: Console, envoys: list[dict[str, Any]]) -> None:
    for envoy in envoys:
        for one in envoy["rejections"]:
            names = ", ".join(one["names"])
            console.print(
                f"[red]{envoy['node']} rejected {one['type']} {names}:[/] {one['message']}", highlight=False
            )
