"""What a rolling restart came to, as rows."""

import time
from typing import Final

from bench.kubernetes.cluster import ClusterServer
from bench.kubernetes.population import Population, Restart
from bench.kubernetes.sidecars import Held
from bench.machine import cpu_seconds, memory
from bench.report import Row
from bench.spread import spread

PER_SECOND: Final = 200
"""How many pods are replaced a second, at most."""


class Cpu:
    """How busy a server is, as a share of one core, from its making until it is stopped."""

    def __init__(self, server: ClusterServer) -> None:
        self._pid = server.pid
        self._began, self._used = time.monotonic(), cpu_seconds(server.pid)
        self.share = 0.0

    def stop(self) -> None:
        """Look at it."""
        self.share = (cpu_seconds(self._pid) - self._used) / (time.monotonic() - self._began)


def memory_row(server: ClusterServer, population: Population, when: str) -> Row:
    """Return the server's memory as it is."""
    found = memory(server.pid)
    return Row(f"{population}: memory of the server, {when}", found["rss"], "MB", 400, {"PSS": found["pss"]})


def restart_rows(where: str, done: Restart, last: float, held: Held, cpu: Cpu) -> list[Row]:
    """Return how a restart came through.

    Args:
        where: Who drove it.
        done: What was done.
        last: When the last event was sent, by `time.monotonic`.
        held: What the sidecars have.
        cpu: How busy the server was.
    """
    what = f"rolling restart of all {len(done.ready):,} pods, {where}"
    lags = spread([(moment - done.ready[at]) * 1000 for at, moment in held.appeared if at in done.ready], 50, 99)
    more = {
        "clients alone, s": max(0.0, held.last_heard - last),
        "pods a second": done.per_second,
        "responses to clients": held.responses,
        "MB sent to clients": held.bytes / 1e6,
        **{f"Ready to a client that uses it, {name}{'' if name == 'n' else ', ms'}": n for name, n in lags.items()},
    }
    is_right = held.envoys is not None and not held.wrong
    value = max(0.0, held.last_heard - last, (held.envoys or last) - last) if is_right else None
    return [
        Row(f"{what}: last event to every sidecar converged", value, "s", 1, more),
        Row(f"{what}: services with wrong endpoints, of clients and Envoys", held.wrong + held.envoys_wrong, "", 0),
        Row(f"{what}: CPU of the server", cpu.share, "cores", 1),
    ]
