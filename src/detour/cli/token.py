"""`detour token`: API tokens, for programs."""

import json
from typing import Annotated

import typer

from detour.cli.client import DEFAULT_SERVER, AsJson, Server, request
from detour.cli.terminal import print_table, until

app = typer.Typer(rich_markup_mode=None)

Name = Annotated[str, typer.Argument(metavar="NAME", hidden=True)]
Id = Annotated[str, typer.Argument(metavar="ID", hidden=True)]
WithRole = Annotated[str, typer.Option("--role", help="viewer, developer or admin.", metavar="ROLE")]
Owner = Annotated[
    str | None,
    typer.Option(help="As whom it acts.  [default: you]", metavar="NAME", show_default=False),
]
Ttl = Annotated[
    str | None,
    typer.Option(help="How long it counts: 90d.  [default: for ever]", metavar="TIME", show_default=False),
]


@app.callback(invoke_without_command=True)
def token(context: typer.Context) -> None:
    """Make and remove API tokens, with which programs use the API."""
    if context.invoked_subcommand is None:
        typer.echo(context.get_help())


@app.command("create")
def create(
    name: Name,
    *,
    role: WithRole = "developer",
    owner: Owner = None,
    ttl: Ttl = None,
    server: Server = DEFAULT_SERVER,
    as_json: AsJson = False,
) -> None:
    """Make a token, and print it: only now, since the server keeps but its hash.

    For example: detour token create ci --role developer --ttl 90d
    """
    made = request(server, "POST", "/v1/tokens", {"name": name, "role": role, "owner": owner, "ttl": ttl})
    if as_json:
        typer.echo(json.dumps(made, indent=2))
        return
    lasting = f"until {made['expires'][:10]}" if made["expires"] else "until it is removed"
    typer.echo(f"Token {made['id']} acts as {made['owner']}, {made['role']}, {lasting}:", err=True)
    typer.echo(made["token"])


@app.command("ls")
def ls(server: Server = DEFAULT_SERVER, as_json: AsJson = False) -> None:
    """List one's tokens; for an admin, everybody's."""
    found = request(server, "GET", "/v1/tokens")
    if as_json:
        typer.echo(json.dumps(found, indent=2))
    elif not found:
        typer.echo("No token. Make one: detour token create NAME")
    else:
        rows = [
            (one["id"], one["name"], one["owner"], one["role"], one["created"][:10], until(one["expires"]))
            for one in found
        ]
        print_table(("token", "name", "owner", "role", "created", "expires"), rows)


@app.command("rm")
def rm(id: Id, server: Server = DEFAULT_SERVER) -> None:  # noqa: A002  what it is called in the table
    """Remove a token: who brings it is refused from then on."""
    request(server, "DELETE", f"/v1/tokens/{id}")
    typer.echo(f"Token {id} is gone")
