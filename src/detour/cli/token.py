"""`detour token`: manages API tokens, for programs."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated

import typer

from detour.cli.connection import AsJson, Server, checked, connected, print_json, print_list
from detour.cli.groups import group
from detour.cli.terminal import until
from detour.client.server_address import DEFAULT_SERVER

if TYPE_CHECKING:
    from detour.client import TokenOut

app = group("Create and remove API tokens, which programs send to the API.")

Name = Annotated[str, typer.Argument(metavar="NAME", hidden=True)]
Id = Annotated[str, typer.Argument(metavar="ID", hidden=True)]
WithRole = Annotated[str, typer.Option("--role", help="viewer, developer or admin.", metavar="ROLE")]
Owner = Annotated[
    str | None,
    typer.Option(help="The user it acts as.  [default: you]", metavar="NAME", show_default=False),
]
Ttl = Annotated[
    str | None,
    typer.Option(
        help="How long it is valid, such as 90d.  [default: it does not expire]", metavar="TIME", show_default=False
    ),
]


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
    """Create a token and print it. It is shown only once: the server stores a hash.

    For example: detour token create ci --role developer --ttl 90d
    """
    from detour.client import TokenIn  # noqa: PLC0415  slow to import

    wanted = checked(TokenIn.model_validate, {"name": name, "role": role, "owner": owner, "ttl": ttl})
    with connected(server) as client:
        made = client.create_token(wanted)
    if as_json:
        print_json(made)
        return
    validity = f"until {made.expires:%Y-%m-%d}" if made.expires else "until it is removed"
    typer.echo(f"Token {made.id} acts as {made.owner}, {made.role}, {validity}:", err=True)
    typer.echo(made.token)


@app.command("ls")
def ls(server: Server = DEFAULT_SERVER, as_json: AsJson = False) -> None:
    """List your tokens; for an admin, all tokens."""
    with connected(server) as client:
        found = list(client.list_tokens())
    columns = ("token", "name", "owner", "role", "created", "expires")
    print_list(found, columns, _row, empty="No tokens. Create one: detour token create NAME", as_json=as_json)


@app.command("rm")
def rm(id: Id, server: Server = DEFAULT_SERVER) -> None:  # noqa: A002  as in the table
    """Remove a token; the server then refuses it.

    ID is the token's id in the output of detour token ls.
    """
    with connected(server) as client:
        client.remove_token(id)
    typer.echo(f"Token {id} was removed")


def _row(one: "TokenOut") -> Sequence[str]:
    created = f"{one.created:%Y-%m-%d}"
    return one.id, one.name, one.owner, one.role.value, created, until(one.expires)
