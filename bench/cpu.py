"""CPU time that Envoy itself spends on a request, as ratios.

Measured is the time that all threads of one Envoy spent on CPUs (`/proc/PID/task/*/schedstat`) during a slice
of load of a tenth of a second, divided by the requests answered in it. Every candidate gets one slice a round, in
an order that is shuffled anew each round, and a ratio compares two slices of the same round; so a busy or slow
machine disturbs both sides of a ratio. Envoys are started afresh several times in a run, because where a
process's memory happens to lie is worth some per cent.

The Envoy under test runs on one core; load and origin on another. All candidates are sent the same kind of
request, with the same headers; the plain Envoys have the same route (`bench.envoys.plain_bootstrap` says what
is the same and what is not). `identical plain Envoys` compares two processes with one configuration: what it
differs from 1 is noise.
"""

import os
import random
from collections import Counter
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from statistics import median, quantiles
from typing import Final

from bench.envoys import LISTENER, Json, plain_bootstrap
from bench.load import Load, LoadError, ensure_wrk
from bench.machine import cores, cpu_seconds, pin
from bench.mesh import BASELINE, OFFLOADED, Admin, BenchMesh, Caller, bench_mesh, free_ports, override
from bench.options import Options
from bench.report import Row
from bench.server import Server

_SERVICE: Final = "users"
_DEPLOYMENT: Final = "pr-42"
_SLICE_SECONDS: Final = 0.1
_ROUNDS_PER_START: Final = 10
_WARM_UP_ROUNDS: Final = 2
_TRIES: Final = 5
_WELL: Final = "2xx"

# The headers of a call between services of a traced mesh, with a baggage entry of another application.
BASELINE_REQUEST: Final = {
    "Host": _SERVICE,
    "user-agent": "python-httpx/0.28.1",
    "accept": "*/*",
    "accept-encoding": "gzip, deflate",
    "traceparent": "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
    "baggage": "session.id=8d0f7c5e",
}
OVERRIDDEN_REQUEST: Final = {
    **BASELINE_REQUEST,
    "baggage": f"session.id=8d0f7c5e,{override(_SERVICE, _DEPLOYMENT)}",
}

Start = Callable[[], Awaitable[Caller]]
"""Starts an Envoy."""

Feature = Callable[[Json], None]
"""Adds something to a bootstrap (`bench.features`)."""


@dataclass(frozen=True, slots=True)
class Slice:
    """CPU seconds of one Envoy, and how many requests it answered meanwhile."""

    cpu: float
    requests: int

    @property
    def per_request(self) -> float:
        """CPU seconds per request."""
        return self.cpu / self.requests


@dataclass(frozen=True, slots=True)
class Candidate:
    """An Envoy to measure, and load on it."""

    pid: int
    admin: Admin
    load: Load

    async def slice(self) -> Slice:
        """Measure it for a moment, and again if the load had no turn on a busy machine.

        Raises:
            LoadError: Requests were not answered, or not well.
        """
        for _ in range(_TRIES):
            taken = await self._slice()
            if taken.requests:
                return taken
        raise LoadError("under load no request was answered; without load, is one?")

    async def _slice(self) -> Slice:
        # What Envoy does for its admin interface stands outside of what is measured.
        before = await self._answered()
        cpu = cpu_seconds(self.pid)
        await self.load.run(_SLICE_SECONDS)
        cpu = cpu_seconds(self.pid) - cpu
        answered = await self._answered() - before
        if answered.keys() > {_WELL}:
            raise LoadError(f"under load the answers were {dict(answered)}; without load, are they {_WELL}?")
        return Slice(cpu, answered[_WELL])

    async def _answered(self) -> Counter[str]:
        """Return how many requests were answered, by class of status."""
        counts = await self.admin.stats(rf"http\.({LISTENER}|outbound|edge)\.downstream_rq_[2345]xx")
        return Counter({name.rpartition("_")[2]: number for name, number in counts.items()})


@dataclass(slots=True)
class Slices:
    """By candidate's name, one slice a round."""

    by_name: dict[str, list[Slice]] = field(default_factory=dict)

    async def add_round(self, candidates: Mapping[str, Candidate]) -> None:
        """Measure each candidate once, in random order."""
        for name in random.sample(sorted(candidates), len(candidates)):
            self.by_name.setdefault(name, []).append(await candidates[name].slice())

    def ratio(self, what: str, above: str, below: str, at_most: float | None = None) -> Row:
        """Compare two candidates: the median of the rounds' ratios, their quartiles, and the ratio of the sums."""
        over, under = self.by_name[above], self.by_name[below]
        ratios = [one.per_request / other.per_request for one, other in zip(over, under, strict=True)]
        low, _, high = quantiles(ratios, n=4) if len(ratios) > 1 else (ratios[0],) * 3
        more = {
            "of sums": _in_all(over) / _in_all(under),
            "quartile 1": low,
            "quartile 3": high,
            "µs": 1e6 * _in_all(over),
            "to": 1e6 * _in_all(under),
            "rounds": len(ratios),
        }
        return Row(what, median(ratios), at_most=at_most, more=more)


def _in_all(slices: Sequence[Slice]) -> float:
    return sum(one.cpu for one in slices) / sum(one.requests for one in slices)


@contextmanager
def cores_apart() -> Iterator[int]:
    """Keep this process, and what it starts, to one core; yield another one, for the Envoys under test."""
    ensure_wrk()
    under_test, other = cores()
    allowed = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {other})
    try:
        yield under_test
    finally:
        os.sched_setaffinity(0, allowed)


async def in_rounds(rounds: int, start: Callable[[BenchMesh], Awaitable[Mapping[str, Candidate]]]) -> Slices:
    """Measure several rounds.

    Args:
        rounds: The number of rounds.
        start: Starts the candidates in a mesh; called every few rounds, so that they are started afresh.
    """
    slices = Slices()
    for done in range(0, rounds, _ROUNDS_PER_START):
        async with bench_mesh() as fresh:
            candidates = await start(fresh)
            for turn in range(-_WARM_UP_ROUNDS, min(_ROUNDS_PER_START, rounds - done)):
                await (slices if turn >= 0 else Slices()).add_round(candidates)
    return slices


async def loaded(
    fresh: BenchMesh, wanted: Mapping[str, tuple[Start, Mapping[str, str]]], core: int
) -> dict[str, Candidate]:
    """Start Envoys on a core of their own, and put load on them.

    Each candidate has its own: one that others have connections to as well has more to keep in its caches. They
    start in random order, because the first is not the last.

    Args:
        fresh: Where they are started.
        wanted: By name, what starts an Envoy, and the headers of its requests.
        core: The core.
    """
    candidates = {}
    for name in random.sample(sorted(wanted), len(wanted)):
        start, headers = wanted[name]
        envoy = await start()
        pin(envoy.pid, core)
        candidates[name] = Candidate(envoy.pid, envoy.admin, await fresh.load(envoy.port, headers))
    return candidates


async def measure(options: Options) -> list[Row]:
    """Return the ratios of CPU time per request."""
    with cores_apart() as core:
        slices = await _slices(options.rounds, core)
    overridden = "CPU per request with an override that applies, sidecar / plain Envoy"
    many = "the same with 1,000 offloaded deployments registered / with 1"
    return [
        slices.ratio("CPU per request without overrides, sidecar / plain Envoy", "sidecar", "plain", 1.02),
        slices.ratio(overridden, "sidecar, override", "plain, override", 1.10),
        slices.ratio(many, "sidecar of 1,000, override", "sidecar, override", 1.02),
        slices.ratio("identical plain Envoys, one / the other", "plain again", "plain"),
    ]


async def _slices(rounds: int, core: int) -> Slices:
    """Measure several rounds, with the same servers."""
    async with bench_mesh() as lasting:
        await lasting.origin()
        few, many = await lasting.server(), await lasting.server()
        await few.add(_SERVICE, _DEPLOYMENT, lasting.offloaded)
        for name in (_DEPLOYMENT, *(f"pr-{number}" for number in range(1000, 1999))):
            await many.add(_SERVICE, name, lasting.offloaded)
        port = lasting.baseline_port
        return await in_rounds(rounds, lambda fresh: _candidates(fresh, port, few, many, core))


async def _candidates(
    fresh: BenchMesh, origin_port: int, few: Server, many: Server, core: int
) -> dict[str, Candidate]:
    plain, sidecar = partial(plain_envoy, fresh, origin_port), partial(ready_sidecar, fresh, few)
    wanted: dict[str, tuple[Start, Mapping[str, str]]] = {
        "plain": (plain, BASELINE_REQUEST),
        "plain again": (plain, BASELINE_REQUEST),
        "sidecar": (sidecar, BASELINE_REQUEST),
        "plain, override": (plain, OVERRIDDEN_REQUEST),
        "sidecar, override": (sidecar, OVERRIDDEN_REQUEST),
        "sidecar of 1,000, override": (partial(ready_sidecar, fresh, many), OVERRIDDEN_REQUEST),
    }
    return await loaded(fresh, wanted, core)


async def plain_envoy(mesh: BenchMesh, origin_port: int, features: Sequence[Feature] = ()) -> Caller:
    """Start a plain Envoy."""
    port, admin = free_ports(2)
    bootstrap = plain_bootstrap(admin, port, _SERVICE, ("127.0.0.1", origin_port))
    for add in features:
        add(bootstrap)
    return await mesh.caller(bootstrap, port, admin)


async def ready_sidecar(mesh: BenchMesh, server: Server) -> Caller:
    """Start a sidecar, and see that it sends both requests where it should."""
    caller = await mesh.sidecar(server)
    answers = [(await caller.call(_SERVICE, deployment)).text for deployment in ("", _DEPLOYMENT)]
    if answers != [BASELINE, OFFLOADED]:
        raise LoadError(f"the sidecar is to answer baseline and offloaded, and answered {answers}")
    return caller
