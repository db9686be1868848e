"""The demo's output: the start of the mesh, each step's request and call tree, the results, and what to try next.

Invariant: every printed command works when pasted.
"""

import sys
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

from rich.console import Console, RenderableType
from rich.markup import escape
from rich.padding import Padding
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table

from detour.demo.call_tree import Call
from detour.demo.layout import Layout
from detour.demo.mesh import Advance
from detour.demo.removal import Stream
from detour.demo.topology import Registration, Topology, label
from detour.demo.tree import render
from detour.demo.verdict import tally

_WRONG_SHOWN = 12


class Narrator:
    """Prints the story on a console, by default the terminal."""

    def __init__(self, console: Console | None = None) -> None:
        self._console = console or Console(highlight=False)
        self._steps = 0

    @contextmanager
    def progress(self, stages: Mapping[str, int], left_out: Mapping[str, str]) -> Iterator[Advance]:
        """Show the progress of the mesh's start.

        Args:
            stages: The stages of the start, each with its number of processes.
            left_out: The services that cannot run on this machine, with the reason.
        """
        self._console.print("\n[bold]Detour's demo[/]: a ride-hailing mesh, with an Envoy beside each instance\n")
        for service, missing in left_out.items():
            self._console.print(f"    [yellow]{service} is left out[/]: {missing}\n", soft_wrap=True)
        with Progress(
            TextColumn("    {task.description:14}"),
            BarColumn(bar_width=24),
            MofNCompleteColumn(),
            TimeElapsedColumn(),
            console=self._console,
        ) as progress:
            tasks = {stage: progress.add_task(stage, total=total) for stage, total in stages.items()}
            yield lambda stage: progress.advance(tasks[stage])

    def registered(self, layout: Layout, registrations: Sequence[Registration]) -> None:
        """Print the deployments that run beside the baseline, and the commands that register them."""
        names = " and ".join(f"[magenta]{label(one.service, one.deployment)}[/]" for one in registrations)
        self._console.print(f"\n{names} run beside the baseline. To register them, the demo did the same as\n")
        for one in registrations:
            self._add(layout, one)
        self._console.print()

    def step(self, title: str) -> None:
        """Begin a step."""
        self._steps += 1
        self._console.print(f"[bold cyan]{self._steps}[/]  [bold]{title}[/]\n")

    def request(self, layout: Layout, header: str) -> None:
        """Print the curl command of the step's request."""
        self._command(_curl(layout, header))

    def registration(self, layout: Layout, registration: Registration) -> None:
        """Print the command that registers the deployment."""
        self._add(layout, registration)
        self._console.print()

    def removal(self, layout: Layout, registration: Registration) -> None:
        """Print the command that removes the deployment."""
        self._offload(layout, f"rm {registration.service} {registration.deployment}")

    def tree(self, tree: Call, topology: Topology) -> None:
        """Print a call tree."""
        self._indented(render(tree, topology))

    def spread(self, trees: Sequence[Call], service: str) -> None:
        """Print how many calls of the service each instance served."""
        self._console.print(f"    Calls of {service} in {len(trees)} such requests: {_counts(trees, service)}\n")

    def stream(self, stream: Stream, service: str) -> None:
        """Print which instances served the service's calls, by kind of request, before and after the removal."""
        table = Table("", "requests", f"calls of {service}", box=None, pad_edge=False, header_style="dim")
        for name, trees in (
            ("no override", stream.plain()),
            ("overridden, before", stream.before()),
            ("overridden, during", stream.during()),
            ("overridden, after", stream.after()),
        ):
            table.add_row(name, str(len(trees)), _counts(trees, service))
        self._indented(table)

    def verdict(self, moral: str, wrong: Sequence[str]) -> None:
        """Print what the step shows, or each wrong hop."""
        # A grid indents wrapped lines.
        grid = Table.grid(padding=(0, 1))
        if not wrong:
            grid.add_row("[green]✓[/]", moral)
        distinct = Counter(wrong).most_common()
        for hop, count in distinct[:_WRONG_SHOWN]:
            grid.add_row("[bold red]✗[/]", escape(hop) + (f" ({count} times)" if count > 1 else ""))
        if len(distinct) > _WRONG_SHOWN:
            grid.add_row("[bold red]✗[/]", f"and {len(distinct) - _WRONG_SHOWN} more like these")
        self._console.print(Padding(grid, (0, 0, 1, 2), expand=False))

    def summary(self, hops: int, wrong: Sequence[str]) -> None:
        """Print the overall result."""
        if wrong:
            self._console.print(f"[bold red]{len(wrong)} of {hops:,} checks failed[/]: see each ✗ above")
        else:
            self._console.print(
                f"[bold green]All {hops:,} hops went where they should[/], as reported by both the instance and "
                "the caller's sidecar."
            )

    def evidence(self, ended: Sequence[str], logs: Path) -> None:
        """Print where to find the reason of a failure."""
        for name in ended:
            self._console.print(f"[red]{name} ended unexpectedly[/]")
        self._console.print(f"The logs are in {logs}", soft_wrap=True)

    def invitation(self, layout: Layout) -> None:
        """Print what to try while the mesh stays up."""
        self._console.print("\nThe mesh stays up until you press Ctrl-C.\n")
        self._console.print(
            f"Open [bold]{layout.api_url}/[/] to see the mesh and to work with scenarios.", soft_wrap=True
        )
        self._console.print("In another terminal:\n")
        detour, server = _program(), f"--server {layout.api_url}"
        for command in (
            _curl(layout, ""),
            _curl(layout, "override.route.users=pr-42"),
            f"{detour} curl users=pr-42 drivers=pr-7 -- {layout.edge_url}/rides",
            f"{detour} status {server}",
            f"{detour} offload ls {server}",
        ):
            self._command(command)

    def farewell(self) -> None:
        """Print that the mesh has ended on request."""
        self._console.print("\nThe mesh has stopped.")

    def _indented(self, block: RenderableType) -> None:
        self._console.print(Padding(block, (1, 0, 1, 4), expand=False))

    def _add(self, layout: Layout, registration: Registration) -> None:
        endpoints = " ".join(f"--endpoint {layout.endpoint(name)}" for name in registration.instances)
        self._offload(layout, f"add {registration.service} {registration.deployment} {endpoints}")

    def _offload(self, layout: Layout, arguments: str) -> None:
        self._command(f"{_program()} offload {arguments} --server {layout.api_url}")

    def _command(self, command: str) -> None:
        self._console.print(f"    [dim]$[/] {escape(command)}", soft_wrap=True)


def _curl(layout: Layout, header: str) -> str:
    option = f"-H 'baggage: {header}' " if header else ""
    return f"curl {option}{layout.edge_url}/rides"


def _counts(trees: Sequence[Call], service: str) -> str:
    return ", ".join(f"{name}: {count}" for name, count in sorted(tally(trees, service).items())) or "none"


def _program() -> str:
    """Return the command of the running `detour`, which may not be on the `PATH`."""
    beside_python = Path(sys.executable).with_name("detour")
    if not beside_python.exists():
        return f"{sys.executable} -m detour"
    here = Path.cwd()
    return str(beside_python.relative_to(here) if beside_python.is_relative_to(here) else beside_python)
