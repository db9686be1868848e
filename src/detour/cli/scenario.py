"""`detour scenario`: named, stored, shareable sets of overrides."""

import difflib
import json
import os
import re
import shlex
import shutil
import subprocess
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from detour.cli import completion, signals
from detour.cli.checking import Force as Unknown
from detour.cli.checking import expect_known
from detour.cli.connection import AsJson, Server, checked, connected, print_json, print_list, user
from detour.cli.groups import Force, MissingOk, group
from detour.cli.scenario_text import compared, expiry, overrides, read, words, written
from detour.cli.terminal import print_table, until
from detour.client.server_address import DEFAULT_SERVER
from detour.envoy.vocabulary import SCENARIO_HEADER
from detour.mesh import is_scenario_name
from detour.overrides import parse_words

if TYPE_CHECKING:
    from datetime import datetime

    from detour.client import Client, ScenarioIn, ScenarioOut

app = group("Save, share and change scenarios: named sets of overrides.")

Name = Annotated[str, typer.Argument(metavar="NAME", hidden=True, autocompletion=completion.scenarios)]
Words = Annotated[list[str], typer.Argument(metavar="OVERRIDE", hidden=True, autocompletion=completion.overrides)]
SomeWords = Annotated[
    list[str] | None, typer.Argument(metavar="[OVERRIDE]", hidden=True, autocompletion=completion.overrides)
]
FromVersion = Annotated[int | None, typer.Argument(metavar="[FROM]", hidden=True)]
ToVersion = Annotated[int | None, typer.Argument(metavar="[TO]", hidden=True)]
Owner = Annotated[
    str | None, typer.Option(help="Whom to ask about it.  [default: you]", metavar="NAME", show_default=False)
]
NewOwner = Annotated[str | None, typer.Option(help="Whom to ask about it.", metavar="NAME", show_default=False)]
Description = Annotated[
    str | None, typer.Option("--description", "-d", help="What it is for.", metavar="TEXT", show_default=False)
]
Expires = Annotated[
    str, typer.Option(help="How long it can be entered (30d), until when, or never.", metavar="TIME")
]
NewExpires = Annotated[
    str | None,
    typer.Option(
        "--expires",
        help="How long it can be entered (30d), until when, or never.",
        metavar="TIME",
        show_default=False,
    ),
]
Unset = Annotated[
    list[str],
    typer.Option(
        help="An override to take out, such as users or delay.payments; repeatable.",
        metavar="KEY",
        show_default=False,
    ),
]
File = Annotated[
    Path | None,
    typer.Option("--file", "-f", help="Take this text instead of opening an editor.", metavar="FILE"),
]
Everyone = Annotated[bool, typer.Option("--all", help="Also those that have expired or were removed.")]
OwnedBy = Annotated[str, typer.Option("--owner", help="Only this person's.", metavar="NAME", show_default=False)]
Version = Annotated[
    int | None,
    typer.Option("--version", help="An older version.  [default: the last]", metavar="N", show_default=False),
]
Qr = Annotated[bool, typer.Option("--qr", help="Draw the first link as a QR code, for a phone.")]


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
    """Give a set of overrides a name.

    For example: detour scenario save checkout-redesign users=pr-42 delay.payments=300ms config.new-checkout=on

    Saving what is there already, with the same overrides, changes nothing and succeeds.
    """
    expect_known(server, parse_words(override), force=force)
    expect_name(name)
    wanted = _body(overrides(override), owner, description or "", expiry(expires))
    with connected(server) as client:
        made = _created(client, name, wanted, force=force)
    if as_json:
        print_json(made)
        return
    typer.echo(f"{name} is saved; {_lasting(made)}. Send a request in it: detour curl -s {name} -- URL")
    for link in made.links[:1]:
        typer.echo(f"Open the app in it: {link}")
    typer.echo(f"Hand it on: detour scenario share {name}")


@app.command("ls")
def ls(
    *, owner: OwnedBy = "", everyone: Everyone = False, server: Server = DEFAULT_SERVER, as_json: AsJson = False
) -> None:
    """List scenarios."""
    with connected(server) as client:
        found = list(client.list_scenarios(state="all" if everyone else "live", owner=owner or None))
    columns = ("scenario", "overrides", "owner", "expires", "version", "description")
    empty = "No scenario. Save one: detour scenario save NAME SERVICE=DEPLOYMENT"
    print_list(found, columns, _row, empty=empty, as_json=as_json)


@app.command("show")
def show(name: Name, *, version: Version = None, server: Server = DEFAULT_SERVER, as_json: AsJson = False) -> None:
    """Show a scenario, and who changed it when."""
    with connected(server) as client:
        found = _get(client, name, version)
        versions = [] if as_json else list(client.list_scenario_versions(name))
    if as_json:
        print_json(found)
        return
    print_table(("", ""), [(key, value) for key, value in _details(found) if value])
    typer.echo()
    print_table(
        ("version", "changed", "by", "overrides"),
        [(str(one.version), _moment(one.changed), one.changed_by, _what(one)) for one in versions],
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
    """Make the next version of a scenario.

    By options and overrides: detour scenario edit checkout-redesign users=pr-43 --unset delay.payments. Without
    any, in your editor. If somebody else changes it meanwhile, yours is refused and your text kept.
    """
    changes = {"owner": owner, "description": description, "expires": expires}
    given = {key: value for key, value in changes.items() if value is not None}
    if file and (override or unset or given):
        raise ValueError("give either --file, or what is to change")
    if override or unset or given:
        expect_known(server, parse_words(override or []), force=force)
    with connected(server) as client:
        if override or unset or given:
            last = _get(client, name)
            body = _changed(last, override or [], unset, given)
            made = client.save_scenario(name, body, version=last.version, force=force)
        elif file:
            made = _saved(client, name, _text_of(file), force=force)
        else:
            made = _edited(client, name, force=force)
    typer.echo(f"{name} is at version {made.version}: {_what(made)}; {_lasting(made)}")


@app.command("diff")
def diff(name: Name, older: FromVersion = None, newer: ToVersion = None, server: Server = DEFAULT_SERVER) -> None:
    """Show what changed between two versions.

    By default what the last one changed: detour scenario diff NAME [FROM [TO]]
    """
    with connected(server) as client:
        last = _get(client, name, newer)
        first = _get(client, name, older if older is not None else max(1, last.version - 1))
    changed = difflib.unified_diff(
        compared(first),
        compared(last),
        f"{name} version {first.version}, by {first.changed_by}",
        f"{name} version {last.version}, by {last.changed_by}",
        lineterm="",
    )
    typer.echo("\n".join(changed) or f"{name} is the same in both")


@app.command("rm")
def rm(name: Name, *, force: Force = False, missing_ok: MissingOk = False, server: Server = DEFAULT_SERVER) -> None:
    """Remove a scenario: its links say so from then on. Its versions can still be read."""
    from detour.client import NotFoundError  # noqa: PLC0415  which other commands need not wait for

    with connected(server) as client:
        try:
            found = _get(client, name)
        except NotFoundError as error:
            if not missing_ok:
                raise
            typer.echo(str(error).partition(";")[0])
            return
        if found.state == "removed" and missing_ok:
            typer.echo(f"{name} was removed already")
            return
        if found.owner not in ("", user(client)) and not force:
            raise RuntimeError(f"{name} belongs to {found.owner}; --force removes it all the same")
        client.remove_scenario(name, found.version)
    typer.echo(f"{name} is gone")


@app.command("share")
def share(name: Name, *, qr: Qr = False, server: Server = DEFAULT_SERVER, as_json: AsJson = False) -> None:
    """Print what puts a request into a scenario."""
    baggage_of(server, name)  # refuses what is over
    with connected(server) as client:
        found = _get(client, name)
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
            f"The link with ?...={name} holds on {found.only_host} alone: what its pages call on other hosts is not"
            " in the scenario. The mesh file has edge.previews and edge.cookie_domain (docs/scenarios.md)",
            err=True,
        )
    if not found.links:
        typer.echo(
            "For links, say in the mesh file where people reach the edge: edge: {url: https://...}", err=True
        )


def _draw(link: str) -> None:
    import segno  # noqa: PLC0415  which other commands need not wait for

    segno.make(link, micro=False).terminal(compact=True, border=2)


def expect_name(name: str) -> None:
    """Refuse a name that no scenario can have.

    Raises:
        ValueError: No scenario can have that name.
    """
    if not is_scenario_name(name):
        better = re.sub("[^a-z0-9]+", "-", name.lower()).strip("-")[:63].strip("-") or "checkout"
        known = "at most 63 lowercase letters, digits and dashes, neither beginning nor ending with a dash"
        raise ValueError(f"no scenario can be called {name!r}: expected {known}, such as {better}")


def baggage_of(server: str, name: str) -> str:
    """Return the header that puts a request into a scenario.

    Raises:
        ClientError: There is none of that name, or its time is over.
    """
    expect_name(name)
    with connected(server) as client:
        return client.resolve_scenario(name).value


def _get(client: "Client", name: str, version: int | None = None) -> "ScenarioOut":
    expect_name(name)
    return client.get_scenario(name) if version is None else client.get_scenario_version(name, version)


def _body(
    overrides: dict[str, str], owner: str | None, description: str, expires: "datetime | None"
) -> "ScenarioIn":
    from detour.client import ScenarioIn  # noqa: PLC0415  which other commands need not wait for

    return checked(ScenarioIn, overrides=overrides, owner=owner, description=description, expires=expires)


def _created(client: "Client", name: str, wanted: "ScenarioIn", *, force: bool) -> "ScenarioOut":
    """Save a scenario that is new, or return the one that says the same already.

    Raises:
        ClientError: Another one has the name.
    """
    from detour.client import ClientError  # noqa: PLC0415  which other commands need not wait for

    try:
        return client.save_scenario(name, wanted, force=force)
    except ClientError as error:
        try:
            last = _get(client, name)
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


def _changed(last: "ScenarioOut", given: list[str], unset: list[str], more: dict[str, str]) -> "ScenarioIn":
    """Return the next version."""
    kept = dict(last.overrides)
    for key in unset:
        if (known := next((one for one in (key, f"route.{key}") if one in kept), None)) is None:
            raise ValueError(f"--unset {key}: it has no such override; it has {', '.join(kept)}")
        del kept[known]
    return _body(
        {**kept, **overrides(given)},
        more.get("owner", last.owner),
        more.get("description", last.description),
        expiry(more["expires"]) if "expires" in more else last.expires,
    )


def _saved(client: "Client", name: str, text: str, *, force: bool) -> "ScenarioOut":
    """Save the text of a scenario as its next version."""
    edited = read(text)
    body = _body(edited.overrides, edited.owner, edited.description, edited.expires)
    return client.save_scenario(name, body, version=edited.version, force=force)


def _edited(client: "Client", name: str, *, force: bool) -> "ScenarioOut":
    """Let a person edit a scenario; what can't be saved stays in a file, which the error names."""
    last = _get(client, name)
    text = written(last)
    folder = Path(tempfile.mkdtemp(prefix="detour-"))
    path = folder / f"{name}.yaml"
    path.write_text(text, encoding="utf-8")
    is_done = False
    try:
        _open_editor(path)
        if path.read_text(encoding="utf-8") == text:
            is_done = True
            return last
        made = _saved(client, name, _text_of(path), force=force)
        is_done = True
    except (ValueError, RuntimeError) as error:
        raise RuntimeError(f"{error}. Your text is kept: detour scenario edit {name} --file {path}") from error
    finally:
        if is_done:
            shutil.rmtree(folder)
    return made


def _open_editor(path: Path) -> None:
    editor = os.environ.get("VISUAL") or os.environ.get("EDITOR") or "vi"
    try:
        with signals.left_to_others():
            done = subprocess.run([*shlex.split(editor), str(path)], check=False)  # noqa: S603  the person's own
    except OSError as error:
        raise RuntimeError(
            f"cannot open the editor {editor!r} ({error.strerror}): set EDITOR to another"
        ) from error
    if done.returncode:
        raise RuntimeError(f"the editor {editor!r} ended with status {done.returncode}; nothing was saved")


def _text_of(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except UnicodeDecodeError as error:
        raise ValueError(f"{path}: expected text in UTF-8") from error
    except OSError as error:
        raise OSError(f"{path}: cannot be read: {error.strerror}") from error


def _what(one: "ScenarioOut") -> str:
    return "(removed)" if one.state == "removed" else " ".join(words(one.overrides))


def _row(one: "ScenarioOut") -> Sequence[str]:
    expires = "removed" if one.state == "removed" else until(one.expires)
    description = " ".join(one.description.split())
    return one.name, " ".join(words(one.overrides)), one.owner, expires, str(one.version), description


def _details(one: "ScenarioOut") -> list[tuple[str, str]]:
    return [
        ("scenario", one.name),
        ("description", one.description),
        ("overrides", "\n".join(words(one.overrides))),
        ("owner", one.owner),
        ("expires", "removed" if one.state == "removed" else until(one.expires)),
        ("version", f"{one.version}, by {one.changed_by} at {_moment(one.changed)}"),
        ("header", f"baggage: {one.baggage}"),
    ]


def _lasting(one: "ScenarioOut") -> str:
    return f"it expires {until(one.expires)}" if one.expires else "it never expires"


def _moment(at: "datetime") -> str:
    return f"{at:%Y-%m-%d %H:%M}"
