"""The command line: `python -m bench [PART...]`."""

import asyncio
import sys
from collections.abc import Callable, Coroutine
from functools import partial
from pathlib import Path
from typing import Annotated, Any, Final

import typer
from rich.console import Console

from bench import (
    cpu,
    demo_time,
    edge,
    event_streams,
    first_call,
    instructions,
    mesh_change,
    offload_add,
    outage,
    page,
    propagation,
    pushed_bytes,
    resolve,
    restarts,
    scenario_effect,
    scenario_kills,
    sdk,
    sdk_logs,
    server_memory,
    soak,
    unbacked_memory,
)
from bench.kubernetes import isolation, large, ready, restart
from bench.options import Options
from bench.report import Row, show, write

_PARTS: Final[dict[str, Callable[[Options], Coroutine[Any, Any, list[Row]]]]] = {
    "cpu": cpu.measure,
    "instructions": instructions.measure,
    "edge": edge.measure,
    "offload-add": offload_add.measure,
    "mesh-change": mesh_change.measure,
    "pushed-bytes": pushed_bytes.measure,
    "first-call": first_call.measure,
    "server-memory": server_memory.measure,
    "demo-time": demo_time.measure,
    "restarts": restarts.measure,
    "outage": outage.measure,
    "soak": soak.measure,
    "unbacked-memory": unbacked_memory.measure,
    "kubernetes-ready": ready.measure,
    "kubernetes-large": large.measure,
    "kubernetes-restart": restart.measure,
    "kubernetes-isolation": isolation.measure,
    "resolve": resolve.measure,
    "scenario-effect": scenario_effect.measure,
    "page": page.measure,
    "event-streams": event_streams.measure,
    "scenario-kills": scenario_kills.measure,
    "sdk": sdk.measure,
    "sdk-logs": sdk_logs.measure,
    "propagation": partial(propagation.measure, queues=False),
    "propagation-queues": partial(propagation.measure, queues=True),
}
_RESULTS: Final = Path(__file__).parent / "results"

_Parts = Annotated[list[str] | None, typer.Argument(help=f"What to measure: {', '.join(_PARTS)} [default: all].")]


def bench(
    parts: _Parts = None,
    rounds: Annotated[int, typer.Option(help="Rounds of the CPU comparisons.", min=1)] = 240,
    requests: Annotated[int, typer.Option(help="Requests of each row of the propagation parts.", min=1)] = 10_000,
    seconds: Annotated[int, typer.Option(help="How long the outage part lasts.  [default: 1800]", min=0)] = 0,
    quick: Annotated[bool, typer.Option("--quick", help="Less of everything, to see that it works.")] = False,
) -> None:
    """Measure what Detour costs and how fast it is; the results stand in bench/results/ as JSON as well."""
    chosen = parts or list(_PARTS)
    if unknown := [part for part in chosen if part not in _PARTS]:
        raise ValueError(f"unknown part {unknown[0]}; expected one of {', '.join(_PARTS)}")
    options = Options(min(rounds, 20) if quick else rounds, requests, quick, seconds)
    rows = [row for part in chosen for row in _measured(part, options)]
    show(rows)


def _measured(part: str, options: Options) -> list[Row]:
    console = Console(stderr=True, highlight=False)
    console.print(f"[dim]measuring {part} ...[/]")
    rows = asyncio.run(_PARTS[part](options))
    # Results of a quick run are not precise enough to be stored.
    if not options.quick:
        write(_RESULTS, part, rows)
    return rows


def main() -> None:
    """Run it; an error that a person can mend is one line and status 2."""
    try:
        typer.run(bench)
    except (OSError, ValueError, LookupError, RuntimeError) as error:
        Console(stderr=True, soft_wrap=True).print(f"bench: {error}", style="red", markup=False, highlight=False)
        sys.exit(2)


if __name__ == "__main__":
    main()
