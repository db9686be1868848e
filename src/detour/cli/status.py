"""`detour status`: shows connected Envoys, what each has acknowledged, and what it has rejected."""

from typing import TYPE_CHECKING

import typer

from detour.cli.connection import AsJson, Server, connected, print_json
from detour.cli.overrides import sentence
from detour.cli.terminal import Cell, print_table
from detour.client.server_address import DEFAULT_SERVER

if TYPE_CHECKING:
    from detour.contract import DepartureOut, EnvoyOut, OpeningOut, StatusOut

_CLUSTERS = "Cluster"
_GONE_SHOWN = 10
_OTHERS_SHOWN = 10


def status(server: Server = DEFAULT_SERVER, as_json: AsJson = False) -> None:
    """Show the server's mesh, problems, and connected Envoys.

    For each Envoy it shows the clusters that it has, the bytes that it was sent, and the resources that it
    rejected, with the reason.
    """
    with connected(server) as client:
        found = client.get_status()
    if as_json:
        print_json(found)
        return
    mesh_file, cluster = found.mesh_file, found.cluster
    sources = [mesh_file.path] if mesh_file else []
    sources += [f"namespace {cluster.namespaces}"] if cluster else []
    deployments = _counted(found.deployments, "offloaded deployment")
    typer.echo(f"{' and '.join(sources)}: {_counted(found.services, 'service')}, {deployments}")
    if found.overrides.state == "off":
        _alarm("Overrides are switched off", sentence(found.overrides))
    if mesh_file and mesh_file.problem:
        _alarm("The mesh file has errors; the server uses the last valid one:", mesh_file.problem)
    for problem in cluster.problems if cluster else ():
        _alarm("Cluster:", problem)
    for failure in found.failures:
        _alarm("Failure:", failure)
    _print_envoys(found.envoys)
    _print_other_versions(found)
    if gone := found.gone:
        names = ", ".join(f"{one.node} ({one.since:%H:%M:%S})" for one in gone[-_GONE_SHOWN:])
        _alarm(f"{_counted(len(gone), 'Envoy')} disconnected:", names)
    for one in found.openings:
        sent = _counted(one.requests, "request")
        _alarm(f"{one.instance} had no control plane:", f"{sent} bypassed the mesh {_between(one)}")
    for departure in found.departures:
        if departure.suspected:
            _alarm(f"{departure.caller} calls {departure.host}", _bypass(departure))


def _between(opening: "OpeningOut") -> str:
    return f"between {opening.began:%H:%M:%S} and {opening.ended:%H:%M:%S} UTC"


def _print_envoys(envoys: list["EnvoyOut"]) -> None:
    if not envoys:
        typer.echo("No Envoys are connected. Start one: detour sidecar --service NAME --app-port PORT")
        return
    print_table(("envoy", "service", "clusters", "sent", "state"), [_row(envoy) for envoy in envoys])
    for envoy in envoys:
        for one in envoy.rejections:
            reason = " ".join(one.message.split())
            _alarm(f"{envoy.node} rejected {one.type} {', '.join(one.names)}:", reason)


def _print_other_versions(found: "StatusOut") -> None:
    others = [f"{one.node} ({one.version or 'unknown'})" for one in found.envoys if one.version != found.version]
    if others:
        more = f" and {len(others) - _OTHERS_SHOWN} more" if len(others) > _OTHERS_SHOWN else ""
        what = f"{_counted(len(others), 'Envoy')} of another version than the server ({found.version}):"
        _alarm(what, f"{', '.join(others[:_OTHERS_SHOWN])}{more}. Restart their pods or processes to update them")


def _bypass(departure: "DepartureOut") -> str:
    sent, service = _counted(departure.requests, "request"), departure.suspected
    return (
        f"({sent} with overrides of {service} within an hour), a host outside the mesh, where overrides have no"
        f" effect. If this host is the service {service}, call http://{service}/ instead"
    )


def _row(envoy: "EnvoyOut") -> tuple[Cell, ...]:
    clusters = ", ".join(sorted(envoy.acknowledged.get(_CLUSTERS, {}))) or "none"
    return envoy.node, envoy.service, clusters, f"{envoy.sent_bytes:,} B", _state(envoy)


def _state(envoy: "EnvoyOut") -> Cell:
    if envoy.rejections:
        return f"{len(envoy.rejections)} rejected", "red"
    return (f"{envoy.pending} pending", "yellow") if envoy.pending else ("up to date", "green")


def _alarm(what: str, why: str) -> None:
    typer.secho(what, fg=typer.colors.RED, nl=False)
    typer.echo(f" {why}" if "\n" not in why else f"\n{why}")


def _counted(number: int, noun: str) -> str:
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"
