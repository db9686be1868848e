"""`detour scenario`: manages scenarios, which are named, stored, shareable sets of overrides."""

import difflib
import json
import shlex
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from detour.cli import completion
from detour.cli.checking import Force as Unknown
from detour.cli.checking import expect_known, print_warnings
from detour.cli.connection import AsJson, Server, connected, print_json, print_list, user
from detour.cli.groups import Force, MissingOk, group
from detour.cli.scenario_editing import (
    edit_scenario,
    expect_name,
    get_scenario,
    save_file,
    scenario_body,
    with_changes,
)
from detour.cli.scenario_text import compared, expiry, overrides
from detour.cli.scenario_view import details_of, expiry_of, moment, overrides_of, row_of
from detour.cli.terminal import print_table
from detour.client.server_address import DEFAULT_SERVER
from detour.envoy.vocabulary import SCENARIO_HEADER
from detour.overrides import parse_words

if TYPE_CHECKING:
    from detour.client import Client, ScenarioIn, ScenarioOut

app = group("Save, share and change scenarios: named sets of overrides.")


Name = Annotated[str, typer.Argument(metavar="NAME", hidden=True, autocompletion=completion.scenarios)]
Words = Annotated[list[str], typer.Argument(metavar="OVERRIDE", hidden=True, autocompletion=completion.overrides)]
SomeWords = Annotated[
    list[str] | None, typer.Argument(metavar="OVERRIDE", hidden=True, autocompletion=completion.overrides)
]
FromVersion = Annotated[int | None, typer.Argument(metavar="FROM", hidden=True)]
ToVersion = Annotated[int | None, typer.Argument(metavar="TO", hidden=True)]
Owner = Annotated[str | None, typer.Option(help="The owner.  [default: you]", metavar="NAME", show_default=False)]
NewOwner = Annotated[str | None, typer.Option(help="The new owner.", metavar="NAME", show_default=False)]
Description = Annotated[
    str | None,
    typer.Option("--description", "-d", help="What the scenario is for.", metavar="TEXT", show_default=False),
]
Expires = Annotated[
    str,
    typer.Option(help="When it expires: from now (30d), at a time (2026-12-01T18:00Z), or never.", metavar="TIME"),
]
NewExpires = Annotated[
    str | None,
    typer.Option(
        "--expires",
        help="When it expires: from now (30d), at a time (2026-12-01T18:00Z), or never.",
        metavar="TIME",
        show_default=False,
    ),
]
Unset = Annotated[
    list[str],
    typer.Option(
        help="An override to remove, such as users or delay.payments; repeatable.",
        metavar="KEY",
        show_default=False,
    ),
]
File = Annotated[
    Path | None,
    typer.Option("--file", "-f", help="Read the new version from this file instead of an editor.", metavar="FILE"),
]
Everyone = Annotated[bool, typer.Option("--all", help="Include expired and removed scenarios.")]
OwnedBy = Annotated[
    str, typer.Option("--owner", help="List only the scenarios of this owner.", metavar="NAME", show_default=False)
]
Version = Annotated[
    int | None,
    typer.Option("--version", help="The version to show.  [default: the latest]", metavar="N", show_default=False),
]
Qr = Annotated[bool, typer.Option("--qr", help="Draw the first link as a QR code.")]


@app.command("save")
def save(
    name: Name,
    override: Words,
    *,
    description: Description = None,
    owner: Owner = None,
    expires: Expires = "30d",
    force: Unknown = False,
    server: Server = DEFAULT_SERVER,
    as_json: AsJson = False,
) -> None:
    """Save a set of overrides under a name.

    For example: detour scenario save checkout-redesign users=pr-42 delay.payments=300ms config.new-checkout=on

    detour header --help lists the kinds of overrides.

    If the scenario exists with the same overrides, the command changes nothing and succeeds.
    """
    expect_known(server, parse_words(override), force=force, warns=False)
    expect_name(name)
    wanted = scenario_body(overrides(override), owner, description or "", expiry(expires))
    with connected(server) as client:
        made = _created(client, name, wanted, force=force)
    print_warnings(made.warnings)
    if as_json:
        print_json(made)
        return
    typer.echo(f"{name} is saved; {expiry_of(made)}. Send a request in it: detour curl -s {name} -- URL")
    for link in made.links[:1]:
        typer.echo(f"Open the app in it: {link}")
    typer.echo(f"Share it: detour scenario share {name}")


@app.command("ls")
def ls(
    *, owner: OwnedBy = "", everyone: Everyone = False, server: Server = DEFAULT_SERVER, as_json: AsJson = False
) -> None:
    """List scenarios."""
    with connected(server) as client:
        found = list(client.list_scenarios(state="all" if everyone else "live", owner=owner or None))
    columns = ("scenario", "overrides", "owner", "expires", "version", "description")
    empty = "No scenarios. Save one: detour scenario save NAME SERVICE=DEPLOYMENT"
    print_list(found, columns, row_of, empty=empty, as_json=as_json)


@app.command("show")
def show(name: Name, *, version: Version = None, server: Server = DEFAULT_SERVER, as_json: AsJson = False) -> None:
    """Show a scenario and its history."""
    with connected(server) as client:
        found = get_scenario(client, name, version)
        versions = [] if as_json else list(client.list_scenario_versions(name))
    if as_json:
        print_json(found)
        return
    print_table(("", ""), [(key, value) for key, value in details_of(found) if value])
    typer.echo()
    print_table(
        ("version", "changed", "by", "overrides"),
        [(str(one.version), moment(one.changed), one.changed_by, overrides_of(one)) for one in versions],
    )


@app.command("edit")
def edit(
    name: Name,
    override: SomeWords = None,
    *,
    unset: Unset = [],  # noqa: B006  Typer's default
    description: Description = None,
    owner: NewOwner = None,
    expires: NewExpires = None,
    file: File = None,
    force: Unknown = False,
    server: Server = DEFAULT_SERVER,
) -> None:
    """Save a new version of a scenario.

    For example: detour scenario edit checkout-redesign users=pr-43 --unset delay.payments

    Without options and overrides, it opens the scenario in your editor. If another person changes the scenario in
    the meantime, the command fails and keeps your text.
    """
    changes = {"owner": owner, "description": description, "expires": expires}
    given = {key: value for key, value in changes.items() if value is not None}
    if file and (override or unset or given):
        raise ValueError("--file cannot be combined with overrides or other changes")
    if override or unset or given:
        expect_known(server, parse_words(override or []), force=force, warns=False)
    with connected(server) as client:
        if override or unset or given:
            last = get_scenario(client, name)
            body = with_changes(last, override or [], unset, given)
            made = client.save_scenario(name, body, version=last.version, force=force)
        elif file:
            made = save_file(client, name, file, force=force)
        else:
            made = edit_scenario(client, name, force=force)
    print_warnings(made.warnings)
    typer.echo(f"{name} is at version {made.version}: {overrides_of(made)}; {expiry_of(made)}")


@app.command("diff")
def diff(name: Name, older: FromVersion = None, newer: ToVersion = None, server: Server = DEFAULT_SERVER) -> None:
    """Show the difference between two versions.

    The default is the latest version and the one before it. For example: detour scenario diff checkout-redesign 1 3
    """
    with connected(server) as client:
        last = get_scenario(client, name, newer)
        first = get_scenario(client, name, older if older is not None else max(1, last.version - 1))
    changed = difflib.unified_diff(
        compared(first),
        compared(last),
        f"{name} version {first.version}, by {first.changed_by}",
        f"{name} version {last.version}, by {last.changed_by}",
        lineterm="",
    )
    typer.echo("\n".join(changed) or f"The versions of {name} do not differ")


@app.command("rm")
def rm(name: Name, *, force: Force = False, missing_ok: MissingOk = False, server: Server = DEFAULT_SERVER) -> None:
    """Remove a scenario. Its links then show that it was removed; its versions stay readable."""
    from detour.client import NotFoundError  # noqa: PLC0415  slow to import

    with connected(server) as client:
        try:
            found = get_scenario(client, name)
        except NotFoundError as error:
            if not missing_ok:
                raise
            typer.echo(str(error).partition(";")[0])
            return
        if found.state == "removed" and missing_ok:
            typer.echo(f"{name} was removed already")
            return
        if found.owner not in ("", user(client)) and not force:
            raise RuntimeError(f"{name} belongs to {found.owner}; use --force to remove it anyway")
        client.remove_scenario(name, found.version)
    typer.echo(f"{name} was removed")


@app.command("share")
def share(name: Name, *, qr: Qr = False, server: Server = DEFAULT_SERVER, as_json: AsJson = False) -> None:
    """Print the links and headers that enter a scenario."""
    baggage_of(server, name)  # fails if the scenario has ended
    with connected(server) as client:
        found = get_scenario(client, name)
    if as_json:
        shown = found.model_dump(include={"name", "version", "links", "baggage"}, mode="json")
        typer.echo(json.dumps({key: shown[key] for key in ("name", "version", "links", "baggage")}, indent=2))
        return
    if qr and found.links:
        _draw(found.links[0])
    line = f"{SCENARIO_HEADER}: {name}"
    for link in found.links:
        typer.echo(f"link    {link}")
    typer.echo(f"header  {line}")
    typer.echo(f"curl    curl -H {shlex.quote(line)} URL")
    typer.echo(f"detour  detour curl -s {name} -- URL")
    typer.echo(f"inside  baggage: {found.baggage}")
    if found.only_host:
        typer.echo(
            f"The link with ?...={name} applies to {found.only_host} only: calls of its pages to other hosts are"
            " not in the scenario. To include them, set edge.previews or edge.cookie_domain in the mesh file"
            " (docs/scenarios.md)",
            err=True,
        )
    if not found.links:
        typer.echo("To get links, set the URL of the edge in the mesh file: edge: {url: https://...}", err=True)


def _draw(link: str) -> None:
    import segno  # noqa: PLC0415  slow to import

    segno.make(link, micro=False).terminal(compact=True, border=2)


def baggage_of(server: str, name: str) -> str:
    """Return the baggage that contains a scenario's overrides.

    Raises:
        ClientError: The scenario does not exist, has expired or was removed.
    """
    expect_name(name)
    with connected(server) as client:
        return client.resolve_scenario(name).value


def _created(client: "Client", name: str, wanted: "ScenarioIn", *, force: bool) -> "ScenarioOut":
    """Save a new scenario, or return the existing one if it has the same content.

    Raises:
        ClientError: A scenario with this name and other content exists.
    """
    from detour.client import ClientError  # noqa: PLC0415  slow to import

    try:
        return client.save_scenario(name, wanted, force=force)
    except ClientError as error:
        try:
            last = get_scenario(client, name)
        except ClientError:
            raise error from None
        pairs = (
            (wanted.overrides, last.overrides),
            (wanted.owner, last.owner),
            (wanted.description, last.description),
        )
        if last.state != "live" or any(given and given != kept for given, kept in pairs):
            raise
        return last
