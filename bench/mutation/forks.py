"""Runs mutants in forks of a process, some at a time.

Invariant: nothing of a mutant outlives its fork: it is in a process group of its own, which is killed when it has
ended or when its time is up, and ends with the process that it is a fork of.
"""

import contextlib
import ctypes
import os
import resource
import signal
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

SURVIVED: Final = 0
KILLED: Final = 1
"""The statuses of a fork."""

_MEMORY: Final = 6_000_000_000
"""Bytes of addresses that a mutant may take."""

_PR_SET_PDEATHSIG: Final = 1


class Fate(StrEnum):
    """What became of a mutant."""

    KILLED = "killed"
    SURVIVED = "survived"
    SAME = "same"
    """Python sees no difference: it was none."""


@dataclass(frozen=True, slots=True)
class Trial:
    """One mutant that is ready to run.

    Args:
        run: Runs its tests in the fork; returns the fork's status.
        note: Takes what became of it.
        seconds: CPU time that its tests take without a change.
    """

    run: Callable[[], int]
    note: Callable[[Fate], None]
    seconds: float

    @property
    def cpu_limit(self) -> int:
        """Seconds of CPU time after which it is caught in a loop."""
        return int(5 * self.seconds + 5)

    @property
    def patience(self) -> float:
        """Seconds after which it waits for something that never comes."""
        return 20 * self.seconds + 60


def try_all(trials: Iterable[Trial], at_once: int) -> None:
    """Run all trials, at most `at_once` at a time."""
    running: dict[int, tuple[Trial, float]] = {}
    try:
        for trial in trials:
            running[_forked(trial)] = trial, time.monotonic() + trial.patience
            while len(running) >= at_once:
                _reap(running)
        while running:
            _reap(running)
    finally:
        for pid in running:
            _end(pid)


def _forked(trial: Trial) -> int:
    pid = os.fork()
    if pid:
        return pid
    status = KILLED
    try:
        _confine(trial.cpu_limit)
        status = trial.run()
    except BaseException:  # noqa: BLE001  any error means that a test has noticed the mutant
        status = KILLED
    finally:
        os._exit(status)


def _confine(cpu_seconds: int) -> None:
    """Limit the resources and the network access of this process."""
    os.setpgid(0, 0)
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    resource.setrlimit(resource.RLIMIT_CPU, (cpu_seconds, cpu_seconds))
    resource.setrlimit(resource.RLIMIT_AS, (_MEMORY, _MEMORY))
    quiet = os.open(os.devnull, os.O_RDWR)
    for stream in (0, 1, 2):
        os.dup2(quiet, stream)


def _reap(running: dict[int, tuple[Trial, float]]) -> None:
    for pid, (trial, until) in list(running.items()):
        ended, status = os.waitpid(pid, os.WNOHANG)
        if not ended and time.monotonic() < until:
            continue
        del running[pid]
        _end(pid, is_reaped=bool(ended))
        trial.note(Fate.SURVIVED if ended and status == SURVIVED else Fate.KILLED)
    time.sleep(0.002)


def _end(pid: int, *, is_reaped: bool = False) -> None:
    """Kill a fork, and what it has started."""
    with contextlib.suppress(ProcessLookupError):
        os.killpg(pid, signal.SIGKILL)
    if not is_reaped:
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)
