"""`detour status`: what is connected, what each Envoy has acknowledged, and what it refused."""

import json
from typing import Any

import typer

from detour.cli.client import DEFAULT_SERVER, AsJson, Server, request
from detour.cli.overrides import sentence
from detour.cli.terminal import Cell, print_table

_CLUSTERS = "Cluster"
_GONE_SHOWN = 10


def status(server: Server = DEFAULT_SERVER, as_json: AsJson = False) -> None:
    """Show the server, where its mesh comes from, and its Envoys.

    For each Envoy: what it holds, how much it was sent, and every resource that it rejected, with its reason.
    """
    found = request(server, "GET", "/v1/status")
    if as_json:
        typer.echo(json.dumps(found, indent=2))
        return
    mesh_file, cluster = found["mesh_file"], found["cluster"]
    sources = [mesh_file["path"]] if mesh_file else []
    sources += [f"namespace {cluster['namespaces']}"] if cluster else []
    deployments = _counted(found["deployments"], "offloaded deployment")
    typer.echo(f"{' and '.join(sources)}: {_counted(found['services'], 'service')}, {deployments}")
    if found["overrides"]["state"] == "off":
        _alarm("Overrides are switched off", sentence(found["overrides"]))
    if mesh_file and mesh_file["problem"]:
        _alarm("The mesh file has mistakes; the last good mesh is in force:", mesh_file["problem"])
    for problem in cluster["problems"] if cluster else ():
        _alarm("In the cluster:", problem)
    for failure in found["failures"]:
        _alarm("A failure:", failure)
    _print_envoys(found["envoys"])
    if gone := found["gone"]:
        names = ", ".join(f"{one['node']} ({one['since'][11:19]})" for one in gone[-_GONE_SHOWN:])
        _alarm(f"{_counted(len(gone), 'Envoy')} went, and has ended or goes on without this server:", names)
    for one in found["openings"]:
        sent = _counted(one["requests"], "request")
        _alarm(f"{one['instance']} was without a control plane:", f"{sent} went past the mesh {_between(one)}")
    for one in found["departures"]:
        if one["suspected"]:
            _alarm(f"{one['caller']} calls {one['host']}", _past_the_mesh(one))


def _between(opening: dict[str, Any]) -> str:
    return f"between {opening['began'][11:19]} and {opening['ended'][11:19]} UTC"


def _print_envoys(envoys: list[dict[str, Any]]) -> None:
    if not envoys:
        typer.echo("No Envoy is connected. Start one: detour sidecar --service NAME --app-port PORT")
        return
    print_table(("envoy", "service", "holds", "sent", "state"), [_row(envoy) for envoy in envoys])
    for envoy in envoys:
        for one in envoy["rejections"]:
            reason = " ".join(one["message"].split())
            _alarm(f"{envoy['node']} rejected {one['type']} {', '.join(one['names'])}:", reason)


def _past_the_mesh(departure: dict[str, Any]) -> str:
    sent, service = _counted(departure["requests"], "request"), departure["suspected"]
    return (
        f"({sent} with overrides of {service} within an hour), a host outside the mesh, where overrides have no"
        f" effect. If it is the service {service}, call it http://{service}/"
    )


def _row(envoy: dict[str, Any]) -> tuple[Cell, ...]:
    clusters = ", ".join(sorted(envoy["acknowledged"].get(_CLUSTERS, {}))) or "nothing yet"
    return envoy["node"], envoy["service"], clusters, f"{envoy['sent_bytes']:,} B", _state(envoy)


def _state(envoy: dict[str, Any]) -> Cell:
    if envoy["rejections"]:
        return f"{len(envoy['rejections'])} rejected", "red"
    return (f"{envoy['pending']} pending", "yellow") if envoy["pending"] else ("up to date", "green")


def _alarm(what: str, why: str) -> None:
    typer.secho(what, fg=typer.colors.RED, nl=False)
    typer.echo(f" {why}" if "\n" not in why else f"\n{why}")


def _counted(number: int, noun: str) -> str:
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"
