"""Call trees to judge: one in which every hop is right, and ways to change a part of it."""

from collections.abc import Callable, Mapping
from dataclasses import replace

from detour.demo.call_tree import Answer, Call
from detour.demo.topology import QUEUE, WHOLE, label
from detour.demo.verdict import Verifier

MESH = WHOLE
VERIFIER = Verifier(MESH)

BASELINE = {
    "web": "web-1",
    "rides": "rides-1",
    "drivers": "drivers-1",
    "payments": "payments-1",
    "receipts": "receipts-1",
    "maps": "maps-1",
    "quotes": "quotes-1",
    "users": "users-1",
}
OFFLOADED = {("users", "pr-42"): "users-pr-42-1", ("drivers", "pr-7"): "drivers-pr-7-1"}
MISSING = "Detour: no ready instance of deployment {} of service users (override.route.users={})"


def tree(deployments: Mapping[str, str] | None = None, service: str = "web") -> Call:
    """Build the tree of a request whose every hop is served as asked, by the baseline where nothing is."""
    chosen = deployments or {}
    deployment = chosen.get(service, "")
    instance = OFFLOADED[service, deployment] if deployment else BASELINE[service]
    calls = tuple(tree(chosen, called) for called in MESH.calls(service))
    status = "200" if MESH.service(service).scheme == "http" else "OK"
    took = 3 + max((call.duration_ms for call in calls), default=0)
    answer = Answer(service, instance, deployment, calls)
    told = "" if MESH.service(service).scheme == QUEUE else label(service, deployment)
    return Call(service, status, told, took, answer=answer)


def change(call: Call, to: str, edit: Callable[[Call], Call]) -> Call:
    """Return the tree with every call of the service `to` edited."""
    if call.answer is not None:
        calls = tuple(change(one, to, edit) for one in call.answer.calls)
        call = replace(call, answer=replace(call.answer, calls=calls))
    return edit(call) if call.to == to else call


def silent(call: Call) -> Call:
    """Return the tree as it is without overrides: its sidecars say nothing."""
    for service in BASELINE:
        call = change(call, service, lambda one: replace(one, served_by=""))
    return call


def missing(call: Call, deployment: str = "pr-404") -> Call:
    """Return the call as it fails when the deployment that it asks for is not there."""
    error = MISSING.format(deployment, deployment)
    return replace(call, status="503", served_by=f"users@{deployment}", answer=None, error=error)
