"""`detour offload`: offloaded deployments of a running server."""

import json
from datetime import UTC, datetime, timedelta
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.table import Table

from detour.cli.client import DEFAULT_SERVER, AsJson, Server, request, user

app = typer.Typer(no_args_is_help=True, help="Add, list and remove offloaded deployments.")

Service = Annotated[str, typer.Argument(help="The service, e.g. users.", show_default=False)]
Name = Annotated[str, typer.Argument(help="The deployment's name, e.g. pr-42.", show_default=False)]


@app.command("add")
def add(
    service: Service,
    name: Name,
    endpoint: Annotated[
        list[str], typer.Option("--endpoint", "-e", help="ip:port of an instance; repeatable.", show_default=False)
    ],
    owner: Annotated[str, typer.Option(help="Who it belongs to [default: you].", show_default=False)] = "",
    ttl: Annotated[str, typer.Option(help="How long it lives.", metavar="30m|24h|7d")] = "24h",
    server: Server = DEFAULT_SERVER,
    as_json: AsJson = False,
) -> None:
    """Register instances that run already as an offloaded deployment of a service."""
    body = {"service": service, "name": name, "endpoints": endpoint, "owner": owner or user(), "ttl": ttl}
    made = request(server, "POST", "/v1/deployments", body)
    if as_json:
        typer.echo(json.dumps(made, indent=2))
        return
    typer.echo(f"{service}@{name} is registered. Send a request there with the header")
    typer.echo(f"  baggage: override.route.{service}={name}")


@app.command("ls")
def ls(server: Server = DEFAULT_SERVER, as_json: AsJson = False) -> None:
    """List the offloaded deployments."""
    deployments = request(server, "GET", "/v1/deployments")
    if as_json:
        typer.echo(json.dumps(deployments, indent=2))
        return
    if not deployments:
        typer.echo("No offloaded deployment. Register one: detour offload add SERVICE NAME --endpoint IP:PORT")
        return
    Console().print(_table(deployments))


@app.command("rm")
def rm(service: Service, name: Name, server: Server = DEFAULT_SERVER) -> None:
    """Remove an offloaded deployment; requests that name it fail from then on."""
    request(server, "DELETE", f"/v1/deployments/{service}/{name}")
    typer.echo(f"{service}@{name} is gone")


def _table(deployments: list[dict[str, Any]]) -> Table:
    table = Table("service", "deployment", "endpoints", "owner", "expires", "from", box=None, pad_edge=False)
    for one in deployments:
        endpoints = "\n".join(one["endpoints"]) or "none ready"
        table.add_row(one["service"], one["name"], endpoints, one["owner"], _until(one["expires"]), one["source"])
    return table


def _until(expires: str | None) -> str:
    if expires is None:
        return "never"
    left = datetime.fromisoformat(expires) - datetime.now(UTC)
    return f"in {timedelta(seconds=max(0, round(left.total_seconds())))}"
