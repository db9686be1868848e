"""Verifies each hop of a request against an expectation.

Invariant: pure. A hop is right only if both the instance that answered and the caller's sidecar report it so.
"""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field

from detour.demo.call_tree import Answer, Call, hops
from detour.demo.topology import QUEUE, Topology, label

EDGE = "edge"


@dataclass(frozen=True, slots=True)
class Expectation:
    """The expected result of calls, by service; calls to other services must reach the baseline without delay.

    Args:
        served_by: The offloaded deployment that serves the service.
        missing: The missing deployment that failed calls to the service must name.
        delayed_ms: The delay of calls to the service, in milliseconds.
        has_overrides: Whether the request carries overrides, so that sidecars report what served each call.
    """

    served_by: Mapping[str, str] = field(default_factory=dict)
    missing: Mapping[str, str] = field(default_factory=dict)
    delayed_ms: Mapping[str, float] = field(default_factory=dict)
    has_overrides: bool = True


NO_OVERRIDE = Expectation(has_overrides=False)
"""The baseline serves every hop, and the sidecars add no header."""


class Verifier:
    """Verifies the hops of requests through a mesh.

    Args:
        topology: The mesh.
    """

    def __init__(self, topology: Topology) -> None:
        self._topology = topology
        self._queues = {one.name for one in topology if one.scheme == QUEUE}

    def verify(self, tree: Call, expectation: Expectation, *alternatives: Expectation) -> list[str]:
        """Return a description of each hop that is not as expected.

        Args:
            tree: The call from the edge.
            expectation: The expectation for each hop.
            alternatives: Other allowed results, for requests during a change.
        """
        return [
            f"{caller} -> {call.to} {wrong}"
            for caller, call in hops(tree, EDGE)
            if all(any(self._wrongs(call, alternative)) for alternative in alternatives)
            for wrong in self._wrongs(call, expectation)
        ]

    def verify_spread(self, trees: Iterable[Call], service: str) -> list[str]:
        """Return a description of each baseline instance of the service that served no hop in any of the trees."""
        served = tally(trees, service)
        return [
            f"{name}, a baseline instance of {service}, served nothing"
            for name in sorted(self._topology.instances_of(service) - served.keys())
        ]

    def _wrongs(self, call: Call, expectation: Expectation) -> Iterator[str]:
        if deployment := expectation.missing.get(call.to):
            yield from _not_missing(call, deployment)
        elif call.answer is None:
            yield f"failed ({call.status}: {call.error}), expected {_side(expectation.served_by.get(call.to, ''))}"
        else:
            yield from self._misrouted(call, call.answer, expectation)
            yield from self._incomplete(call.to, call.answer)
            yield from _mistimed(call, expectation.delayed_ms)

    def _misrouted(self, call: Call, answer: Answer, expectation: Expectation) -> Iterator[str]:
        deployment = expectation.served_by.get(call.to, "")
        if answer.service != call.to or answer.instance not in self._topology.instances_of(call.to, deployment):
            yield f"was served by {_who(answer)}, expected {_side(deployment)}"
        elif answer.deployment != deployment:
            yield f"was served by {answer.instance}, which reports to be {_side(answer.deployment)}"
        # No sidecar is between a queue and its consumer.
        expected = label(call.to, deployment) if expectation.has_overrides and call.to not in self._queues else ""
        if call.served_by != expected:
            wanted = expected or "nothing, because the request has no override"
            yield f"has {call.served_by or 'nothing'} in x-detour-served-by, expected {wanted}"

    def _incomplete(self, service: str, answer: Answer) -> Iterator[str]:
        called, expected = tuple(call.to for call in answer.calls), self._topology.calls(service)
        if called != expected:
            yield f"led to calls of {_listed(called)}, expected {_listed(expected)}"


def tally(trees: Iterable[Call], service: str) -> Counter[str]:
    """Count the calls of the service by the instance that served them; failures by their status."""
    calls = (call for tree in trees for _, call in hops(tree, EDGE) if call.to == service)
    return Counter(call.answer.instance if call.answer else f"failed ({call.status})" for call in calls)


def _not_missing(call: Call, deployment: str) -> Iterator[str]:
    expected = f"expected a failure that names {label(call.to, deployment)}"
    if call.answer is not None:
        yield f"was served by {_who(call.answer)}, {expected}"
    elif deployment not in call.error or call.to not in call.error:
        yield f"failed ({call.status}: {call.error}), {expected}"


def _mistimed(call: Call, delayed_ms: Mapping[str, float]) -> Iterator[str]:
    if not delayed_ms:
        return
    own, delay = own_ms(call), delayed_ms.get(call.to)
    if delay is not None and own < delay:
        yield f"took {own:.0f} ms, expected {delay:.0f} ms or more"
    elif delay is None and own >= min(delayed_ms.values()):
        yield f"took {own:.0f} ms, though only calls of {_listed(delayed_ms)} are delayed"


def own_ms(call: Call) -> float:
    """Return the call's duration without the longest call below it (these run concurrently)."""
    further = call.answer.calls if call.answer else ()
    return call.duration_ms - max((one.duration_ms for one in further), default=0.0)


def _who(answer: Answer) -> str:
    return f"{answer.instance} ({_side(answer.deployment)})"


def _side(deployment: str) -> str:
    return deployment or "baseline"


def _listed(services: Iterable[str]) -> str:
    return ", ".join(services) or "nothing"
