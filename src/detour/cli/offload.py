"""`detour offload`: offloaded deployments of a running server."""

import json
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Annotated, Any
from urllib.parse import quote

import typer

from detour.cli.client import DEFAULT_SERVER, AsJson, Server, request, user
from detour.cli.terminal import print_table

app = typer.Typer(rich_markup_mode=None)

Service = Annotated[str, typer.Argument(metavar="SERVICE", hidden=True)]
Name = Annotated[str, typer.Argument(metavar="NAME", hidden=True)]
Endpoints = Annotated[
    list[str],
    typer.Option(
        "--endpoint", "-e", help="Where an instance listens; repeatable.", metavar="IP:PORT", show_default=False
    ),
]
Owner = Annotated[
    str,
    typer.Option(
        help="Who it belongs to.  [env var: DETOUR_USER; default: you]", metavar="NAME", show_default=False
    ),
]
TimeToLive = Annotated[
    str, typer.Option("--ttl", help="How long it lives, such as 30m, 24h or 7d.", metavar="TIME")
]


@app.callback(invoke_without_command=True)
def offload(context: typer.Context) -> None:
    """Add, list and remove offloaded deployments."""
    if context.invoked_subcommand is None:
        typer.echo(context.get_help())


@app.command("add")
def add(
    service: Service,
    name: Name,
    *,
    endpoint: Endpoints,
    owner: Owner = "",
    ttl: TimeToLive = "24h",
    server: Server = DEFAULT_SERVER,
    as_json: AsJson = False,
) -> None:
    """Register instances that run already.

    They become the offloaded deployment NAME of SERVICE: detour offload add users pr-42 --endpoint 127.0.0.1:9000
    """
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
    elif not deployments:
        typer.echo("No offloaded deployment. Register one: detour offload add SERVICE NAME --endpoint IP:PORT")
    else:
        columns = ("service", "deployment", "endpoints", "owner", "expires", "from")
        print_table(columns, [_row(one) for one in deployments])


@app.command("rm")
def rm(service: Service, name: Name, server: Server = DEFAULT_SERVER) -> None:
    """Remove an offloaded deployment.

    Requests that name it fail from then on, unless they say override.missing=baseline.
    """
    request(server, "DELETE", f"/v1/deployments/{quote(service, safe='')}/{quote(name, safe='')}")
    typer.echo(f"{service}@{name} is gone")


def _row(one: dict[str, Any]) -> Sequence[str]:
    endpoints = ", ".join(one["endpoints"]) or "none ready"
    return one["service"], one["name"], endpoints, one["owner"], _until(one["expires"]), one["source"]


def _until(expires: str | None) -> str:
    if expires is None:
        return "never"
    left = datetime.fromisoformat(expires) - datetime.now(UTC)
    return f"in {timedelta(seconds=max(0, round(left.total_seconds())))}"
