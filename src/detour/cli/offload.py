"""`detour offload`: manages offloaded deployments through the server's API."""

from collections.abc import Sequence
from dataclasses import dataclass, field, fields
from typing import TYPE_CHECKING, Annotated

import typer

from detour.cli import completion
from detour.cli.checking import print_warnings
from detour.cli.connection import AsJson, Server, checked, connected, print_json, print_list, user
from detour.cli.groups import Force, MissingOk, group
from detour.cli.option_groups import spread
from detour.cli.progress import wait_until_ready
from detour.cli.terminal import print_table, until
from detour.client.server_address import DEFAULT_SERVER
from detour.mesh import parse_duration

if TYPE_CHECKING:
    from detour.client import Client, CopyIn, DeploymentDetailOut, DeploymentOut

app = group("Create, list and remove offloaded deployments.")


Service = Annotated[str, typer.Argument(metavar="SERVICE", hidden=True, autocompletion=completion.services)]
Name = Annotated[str, typer.Argument(metavar="NAME", hidden=True, autocompletion=completion.deployments)]
AnyService = Annotated[
    str,
    typer.Argument(metavar="SERVICE", hidden=True, show_default=False, autocompletion=completion.services),
]
AnyName = Annotated[
    str, typer.Argument(metavar="NAME", hidden=True, show_default=False, autocompletion=completion.deployments)
]
Endpoints = Annotated[
    list[str],
    typer.Option(
        "--endpoint", "-e", help="The address of an instance; repeatable.", metavar="IP:PORT", show_default=False
    ),
]
Owner = Annotated[
    str,
    typer.Option(help="The owner.  [env var: DETOUR_USER; default: you]", metavar="NAME", show_default=False),
]
TimeToLive = Annotated[
    str, typer.Option("--ttl", help="When it expires, from now, such as 30m, 24h or 7d.", metavar="TIME")
]
Image = Annotated[str, typer.Option(help="The image to run.", metavar="IMAGE", show_default=False)]
Env = Annotated[
    list[str],
    typer.Option(
        help="An environment variable to add or to replace; repeatable.",
        metavar="NAME=VALUE",
        show_default=False,
    ),
]
Replicas = Annotated[int, typer.Option(help="The number of pods.", metavar="N")]
Command = Annotated[str, typer.Option(help="The command to run instead of the baseline's.", metavar="WORDS")]
PullSecret = Annotated[
    str, typer.Option(help="An image pull Secret, in addition to the baseline's.", metavar="NAME")
]
Container = Annotated[
    str, typer.Option(help="The container to change the image of, if there are several.", metavar="NAME")
]
From = Annotated[
    str,
    typer.Option(
        "--from",
        help="The workload to copy, if several are behind the Service.  [default: the one whose pods serve]",
        metavar="WORKLOAD",
        show_default=False,
    ),
]
Commit = Annotated[str, typer.Option(help="The commit of the image; shown to people.", metavar="TEXT")]
Keep = Annotated[bool, typer.Option("--keep", help="Keep it even if it does not become Ready.")]
Wait = Annotated[bool, typer.Option(help="Wait until it is Ready, and show its progress.")]
Timeout = Annotated[str, typer.Option(help="How long to wait.", metavar="TIME")]
Follow = Annotated[bool, typer.Option("--follow", "-f", help="Follow the log.")]
Tail = Annotated[int, typer.Option(help="How many of the last lines to print first.", metavar="N")]
Everything = Annotated[bool, typer.Option("--all", help="Remove all deployments of an owner: yours, or --owner's.")]


@dataclass(frozen=True, slots=True)
class CopyOptions:
    """The differences of a copy from the baseline, and its expiry."""

    image: Image
    env: Env = field(default_factory=list)
    replicas: Replicas = 1
    ttl: TimeToLive = "24h"
    command: Command = ""
    pull_secret: PullSecret = ""
    container: Container = ""
    commit: Commit = ""
    baseline: From = ""
    owner: Owner = ""
    keep: Keep = False

    def body(self, service: str, name: str, owner: str) -> "CopyIn":
        """Return the request that creates the copy.

        Raises:
            ValueError: The options are invalid; the message is one line.
        """
        from detour.client import CopyIn  # noqa: PLC0415  slow to import

        given = {one.name: getattr(self, one.name) for one in fields(self)}
        own = {"service": service, "name": name, "owner": owner, "env": dict(map(_variable, self.env))}
        return checked(CopyIn.model_validate, given | own)


@app.command("create")
@spread
def create(
    service: Service,
    name: Name,
    *,
    options: CopyOptions,
    wait: Wait = True,
    timeout: Timeout = "5m",
    server: Server = DEFAULT_SERVER,
    as_json: AsJson = False,
) -> None:
    """Copy the baseline in Kubernetes, with another image.

    The copy is the offloaded deployment NAME of SERVICE. For example:

    detour offload create users pr-42 --image registry.example.test/users:4f2a9c1

    If the copy does not become Ready, the command prints the reason and removes it. Run it again to roll out
    another image.
    """
    patience = parse_duration(timeout)
    with connected(server) as client:
        created = client.create_copy(options.body(service, name, options.owner or user(client)))
        for note in created.notes:
            typer.echo(f"Note: {note}", err=True)
        made: DeploymentOut = created
        if wait:
            wait_until_ready(client, service, name, patience, keep=options.keep)
            made = client.get_deployment(service, name)
    print_warnings(created.warnings)
    _show(made, "is Ready" if wait else "is being created", as_json=as_json)


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
    """Register running instances as an offloaded deployment.

    For example: detour offload add users pr-42 --endpoint 127.0.0.1:9000
    """
    from detour.client import DeploymentIn  # noqa: PLC0415  slow to import

    with connected(server) as client:
        wanted = checked(
            DeploymentIn,
            service=service,
            name=name,
            endpoints=endpoint,
            owner=owner or user(client),
            ttl=ttl,
        )
        made = client.register_deployment(wanted)
    print_warnings(made.warnings)
    _show(made, "is registered", as_json=as_json)


def _show(made: "DeploymentOut", what: str, *, as_json: bool) -> None:
    """Print a deployment, or how to send a request to it."""
    if as_json:
        print_json(made)
        return
    typer.echo(f"{made.service}@{made.name} {what}. To send a request to it, add the header")
    typer.echo(f"  baggage: override.route.{made.service}={made.name}")


@app.command("ls")
def ls(server: Server = DEFAULT_SERVER, as_json: AsJson = False) -> None:
    """List the offloaded deployments."""
    with connected(server) as client:
        deployments = list(client.list_deployments())
    columns = ("service", "deployment", "endpoints", "owner", "expires", "from")
    empty = "No offloaded deployments. Register one: detour offload add SERVICE NAME --endpoint IP:PORT"
    print_list(deployments, columns, _row, empty=empty, as_json=as_json)


@app.command("show")
def show(service: Service, name: Name, server: Server = DEFAULT_SERVER, as_json: AsJson = False) -> None:
    """Show one offloaded deployment, and its progress."""
    with connected(server) as client:
        found = client.get_deployment(service, name)
    if as_json:
        print_json(found)
        return
    print_table(("", ""), [(name, value) for name, value in _details(found) if value])
    for line in found.progress.events if found.progress else ():
        typer.echo(f"  {line}")


@app.command("logs")
def logs(
    service: Service, name: Name, *, follow: Follow = False, tail: Tail = 100, server: Server = DEFAULT_SERVER
) -> None:
    """Print the log of the newest pod."""
    with connected(server) as client:
        for line in client.get_deployment_log(service, name, tail=tail, follow=follow):
            typer.echo(line)


@app.command("extend")
def extend(
    service: Service,
    name: Name,
    *,
    ttl: TimeToLive = "24h",
    owner: Owner = "",
    force: Force = False,
    server: Server = DEFAULT_SERVER,
) -> None:
    """Change when an offloaded deployment expires.

    For example: detour offload extend users pr-42 --ttl 7d
    """
    from detour.client import ExtensionIn  # noqa: PLC0415  slow to import

    with connected(server) as client:
        wanted = checked(ExtensionIn, ttl=ttl, owner=None if force else owner or user(client))
        extended = client.extend_deployment(service, name, wanted)
    typer.echo(f"{service}@{name} expires {until(extended.expires)}")


@app.command("rm")
def rm(
    service: AnyService = "",
    name: AnyName = "",
    *,
    everything: Everything = False,
    owner: Owner = "",
    force: Force = False,
    missing_ok: MissingOk = False,
    server: Server = DEFAULT_SERVER,
) -> None:
    """Remove offloaded deployments: one, or with --all those of an owner.

    Requests that name a removed deployment fail, unless they contain override.missing=baseline.
    """
    if service and not name:
        raise ValueError("Missing argument 'NAME' (see detour offload rm --help)")
    if everything == bool(service):
        raise ValueError("give either SERVICE and NAME, or --all for all deployments of an owner")
    with connected(server) as client:
        owner = owner or user(client)
        chosen = _owned_by(client, owner) if everything else [(service, name)]
        for one in chosen:
            _remove(client, *one, owner=None if force else owner, missing_ok=missing_ok)
    if not chosen:
        typer.echo(f"{owner} has no deployments to remove")


def _remove(client: "Client", service: str, name: str, *, owner: str | None, missing_ok: bool) -> None:
    from detour.client import NotFoundError  # noqa: PLC0415  slow to import

    try:
        client.remove_deployment(service, name, owner=owner)
    except NotFoundError as error:
        if not missing_ok:
            raise
        typer.echo(str(error).partition(";")[0])
    else:
        typer.echo(f"{service}@{name} was removed")


def _owned_by(client: "Client", owner: str) -> list[tuple[str, str]]:
    found = client.list_deployments()
    return [(one.service, one.name) for one in found if one.owner == owner and one.is_writable]


def _variable(text: str) -> tuple[str, str]:
    name, equals, value = text.partition("=")
    if not (name and equals):
        raise ValueError(f"--env: expected NAME=VALUE, got {text!r}")
    return name, value


def _row(one: "DeploymentOut") -> Sequence[str]:
    endpoints = ", ".join(one.endpoints) or "none ready"
    return one.service, one.name, endpoints, one.owner, until(one.expires), one.source


def _details(found: "DeploymentDetailOut") -> list[tuple[str, str]]:
    progress = found.progress
    return [
        ("deployment", f"{found.service}@{found.name}"),
        ("endpoints", ", ".join(found.endpoints) or "none ready"),
        ("state", " - ".join(filter(None, (progress.state.value, progress.step))) if progress else ""),
        ("owner", found.owner),
        ("expires", until(found.expires)),
        ("from", found.source),
        ("warning", "; ".join(found.warnings)),
    ]
