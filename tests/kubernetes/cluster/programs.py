"""Programs of the cluster: finding them, running them with a log, ending them.

Invariant: a program ends (SIGKILL) with the process that started it, however that process ends.
"""

import os
import shutil
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

_TOOLS = Path(__file__).parent.parent / "tools"
_END_SECONDS = 5
_POLL_SECONDS = 0.02


class ClusterError(RuntimeError):
    """A part of the cluster is missing, did not start or did not do what was waited for; the message says which."""


def built() -> Path:
    """Return the folder of kube-apiserver, kube-controller-manager and kube-proxy; build them where needed.

    Raises:
        ClusterError: Something that this takes can't be had; the reason stands on standard error.
    """
    made = subprocess.run([str(_TOOLS / "build.sh")], stdout=subprocess.PIPE, text=True, check=False)
    if made.returncode != 0:
        raise ClusterError("the cluster's programs could not be made; tests/kubernetes/tools/build.sh said why")
    return Path(made.stdout.strip())


class Program:
    """A running program, with its output in a log file that is kept over restarts."""

    def __init__(self, command: Sequence[str], log: Path, environment: Mapping[str, str] | None = None) -> None:
        self._name = log.stem
        self._command = _tied_to_parent(command)
        self._log = log
        self._environment = {**os.environ, **(environment or {})}
        self.start()

    def start(self) -> None:
        """Start it, or start it again after `stop` or `kill`."""
        with self._log.open("ab") as output:
            self._process = subprocess.Popen(
                self._command, stdin=subprocess.DEVNULL, stdout=output, stderr=output, env=self._environment
            )

    @property
    def pid(self) -> int:
        """The process id."""
        return self._process.pid

    @property
    def running(self) -> bool:
        """Whether it has not ended."""
        return self._process.poll() is None

    def wait_for(self, condition: Callable[[], bool], what: str, deadline_seconds: float = 60) -> None:
        """Wait until the condition holds.

        Raises:
            ClusterError: The program ended, or the condition did not hold in time.
        """
        deadline = time.monotonic() + deadline_seconds
        while not condition():
            if self._process.poll() is not None:
                raise ClusterError(f"{self._name} ended before {what}: {self._last_words()}")
            if time.monotonic() > deadline:
                raise ClusterError(
                    f"{self._name}: {what} did not come in {deadline_seconds:g} s: {self._last_words()}"
                )
            time.sleep(_POLL_SECONDS)

    def kill(self) -> None:
        """End it at once, as a crash would; wait until it and all that it started have ended."""
        family = _family(self.pid) if self.running else []
        self._process.kill()
        self._process.wait()
        deadline = time.monotonic() + _END_SECONDS
        while any(Path(f"/proc/{pid}/exe").exists() for pid in family) and time.monotonic() < deadline:
            time.sleep(_POLL_SECONDS)

    def _last_words(self) -> str:
        lines = self._log.read_text(encoding="utf-8", errors="replace").strip().splitlines()
        return f"{lines[-1] if lines else 'it logged nothing'} (all of it: {self._log})"


def _family(pid: int) -> list[int]:
    """Return a process and all that stem from it, by `/proc` (proc(5), `children`)."""
    try:
        children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    except OSError:
        return []  # it has ended
    return [pid, *(each for child in children for each in _family(int(child)))]


def _tied_to_parent(command: Sequence[str]) -> list[str]:
    setpriv = shutil.which("setpriv")
    if setpriv is None:
        raise ClusterError("the program setpriv is missing (Debian: util-linux)")
    # Who dies before setpriv has asked for the signal sends none: the shell looks whether its parent lives.
    unless_orphaned = ["sh", "-c", '[ "$PPID" = "$0" ] && exec "$@"', str(os.getpid())]
    return [setpriv, "--pdeathsig", "KILL", *unless_orphaned, *command]
