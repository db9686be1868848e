"""Hops as tests need them."""

from dataclasses import replace

from detour.traffic.hops import Hop


def hop(caller: str, service: str, start: float, seconds: float, **more: object) -> Hop:
    """Return a hop that its service's baseline served, or what `more` says."""
    name, _, deployment = caller.partition("@")
    aim, _, chosen = service.partition("@")
    made = Hop(
        caller=name,
        caller_deployment=deployment or None,
        caller_instance=f"{name}-1",
        service=aim,
        deployment=chosen or None,
        served_by=service,
        method="GET",
        path="/",
        status=200,
        grpc_status=None,
        why="",
        start=start,
        seconds=seconds,
        by_edge=name == "edge",
    )
    return replace(made, **more)
