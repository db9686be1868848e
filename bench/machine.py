"""The machine that is measured on: what processes use of it, and which core they run on."""

import os
from pathlib import Path


def cpu_seconds(pid: int) -> float:
    """Return the CPU time that a process's threads have used (`/proc/PID/task/*/schedstat`, in nanoseconds)."""
    tasks = Path(f"/proc/{pid}/task")
    return sum(int((task / "schedstat").read_text().split()[0]) for task in tasks.iterdir()) / 1e9


def memory(pid: int) -> dict[str, float]:
    """Return a process's memory in MB (10^6 bytes).

    RSS is all that it has in memory; PSS counts what it shares with n processes as a n-th.
    """
    lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()[1:]
    kilobytes = {name: float(rest.split()[0]) for name, _, rest in (line.partition(":") for line in lines)}
    return {name: kilobytes[name.capitalize()] * 1024 / 1e6 for name in ("rss", "pss")}


def cores() -> tuple[int, int]:
    """Return a core for what is measured and one for all else; the same one on a machine with one core."""
    allowed = sorted(os.sched_getaffinity(0))
    return allowed[0], allowed[-1]


def pin(pid: int, core: int) -> None:
    """Keep every thread that a process has on one core; threads that it starts later inherit that."""
    for task in Path(f"/proc/{pid}/task").iterdir():
        os.sched_setaffinity(int(task.name), {core})
