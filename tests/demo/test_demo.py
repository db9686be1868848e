"""The demo from outside, as people run it: real services, real Envoys, a real control plane."""

import json
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from uuid import uuid4

from demo.watching import is_running, wait_until
from detour.demo.machine import left_out
from detour.demo.topology import QUEUE, WHOLE

STORY_SECONDS = 90
_MESH = WHOLE.without(left_out(WHOLE))
PROCESSES = 2 + 2 * len(_MESH.instances) + any(one.scheme == QUEUE for one in _MESH)
"""The control plane, the edge, each instance with its sidecar; and a broker if there is a queue."""


@dataclass
class Demo:
    """A demo that runs, its output, and every process that came of it, known by a mark in their environment."""

    process: "subprocess.Popen[bytes]"
    output: Path
    mark: str = field(repr=False)

    def text(self) -> str:
        """Return what it has printed."""
        return self.output.read_text()

    def offspring(self) -> list[int]:
        """List the processes that it started, directly or not, and that still run."""
        found = (int(path.parent.name) for path in Path("/proc").glob("[0-9]*/environ") if self._marked(path))
        return [pid for pid in found if pid != self.process.pid and is_running(pid)]

    def _marked(self, environment: Path) -> bool:
        try:
            return self.mark.encode() in environment.read_bytes()
        except OSError:
            return False


@contextmanager
def demo(tmp_path: Path, *arguments: str, **environment: str) -> Iterator[Demo]:
    """Run Python with these arguments in a narrow terminal, and end it with all that came of it."""
    mark, output = uuid4().hex, tmp_path / "output"
    variables = {**os.environ, "DEMO_TEST": mark, "COLUMNS": "80", "TMPDIR": str(tmp_path), **environment}
    with output.open("wb") as file:
        process = subprocess.Popen([sys.executable, *arguments], env=variables, stdout=file, stderr=file)
    running = Demo(process, output, mark)
    try:
        yield running
    finally:
        process.kill()
        process.wait()
        for pid in running.offspring():
            os.kill(pid, signal.SIGKILL)


def left_in(tmp_path: Path) -> list[str]:
    """List the folders that a demo has left behind."""
    return [path.name for path in tmp_path.glob("detour-demo-*")]


def test_the_whole_story_goes_right_and_leaves_nothing_behind(tmp_path):
    """Each hop of each step is served as it should be: exit status 0, no process and no file left."""
    with demo(tmp_path, "-m", "detour", "demo", "--once") as running:
        assert running.process.wait(STORY_SECONDS) == 0, running.text()
        assert "hops went where they should" in running.text()
        assert "✗" not in running.text()
        assert running.offspring() == []
        assert left_in(tmp_path) == []


SABOTAGE = """
import sys
from detour.demo import run
from detour.demo.topology import REGISTRATIONS, Registration

users, drivers = REGISTRATIONS
sys.exit(run(once=True, registrations=(Registration("users", "pr-42", ("users-1",)), drivers)))
"""


def test_a_wrong_hop_is_named_and_is_exit_status_1(tmp_path):
    """A deployment registered with a baseline instance's endpoint is found out, though all sidecars are right."""
    with demo(tmp_path, "-c", SABOTAGE) as running:
        assert running.process.wait(STORY_SECONDS) == 1, running.text()
        assert "✗ rides -> users was served by users-1 (baseline), expected pr-42" in running.text()
        assert running.offspring() == []
        (folder,) = left_in(tmp_path)
        assert f"{folder}/logs" in running.text()
        assert len(list((tmp_path / folder / "logs").iterdir())) == PROCESSES


def test_the_demo_stays_up_with_lines_that_work_until_ctrl_c(tmp_path):
    """What it prints can be pasted into a shell and does what it says; Ctrl-C takes everything down."""
    with demo(tmp_path, "-m", "detour", "demo") as running:
        wait_until(lambda: "offload ls" in running.text().partition("until you press Ctrl-C")[2], STORY_SECONDS)
        lines = running.text().partition("until you press Ctrl-C")[2].splitlines()
        plain, overridden, two, status, ls = (line.strip()[2:] for line in lines if line.strip().startswith("$"))
        assert "pr-42" not in shell(plain)
        assert json.loads(shell(overridden))["calls"][0]["answer"]["calls"][-1]["served_by"] == "users@pr-42"
        assert "drivers-pr-7-1" in shell(two)
        assert "edge" in shell(status)
        assert "pr-42" in shell(ls)
        (page,) = (line.split()[1] for line in lines if line.startswith("Open "))
        assert "<title>Detour</title>" in shell(f"curl -s {page}")
        os.kill(running.process.pid, signal.SIGINT)
        assert running.process.wait(STORY_SECONDS) == 0, running.text()
        assert running.offspring() == []
        assert left_in(tmp_path) == []


def shell(command: str) -> str:
    """Run a line as a shell does, and return what it prints."""
    return subprocess.run(command, shell=True, check=True, capture_output=True, text=True, timeout=30).stdout


def test_sigterm_amid_the_start_takes_everything_down(tmp_path):
    """What was started so far has ended when the demo has, and the status says that the story was not told."""
    with demo(tmp_path, "-m", "detour", "demo", "--once") as running:
        wait_until(lambda: len(running.offspring()) >= PROCESSES // 2, STORY_SECONDS)
        running.process.terminate()
        assert running.process.wait(STORY_SECONDS) == 130, running.text()
        assert running.offspring() == []


def test_kill_9_leaves_no_process_behind(tmp_path):
    """The demo can do nothing about its end, and yet every process ends with it."""
    with demo(tmp_path, "-m", "detour", "demo", "--once") as running:
        wait_until(lambda: len(running.offspring()) == PROCESSES, STORY_SECONDS)
        running.process.kill()
        running.process.wait()
        wait_until(lambda: running.offspring() == [], STORY_SECONDS)


def test_a_part_that_does_not_start_is_told_and_nothing_stays(tmp_path):
    """Exit status 2, what failed and why, where the logs are, and no process left."""
    with demo(tmp_path, "-m", "detour", "demo", "--once", DETOUR_ENVOY=shutil.which("false")) as running:
        assert running.process.wait(STORY_SECONDS) == 2, running.text()
        assert "Envoy exited with status 1" in running.text()
        assert f"{left_in(tmp_path)[0]}/logs" in running.text()
        assert "Traceback" not in running.text()
        assert running.offspring() == []


def test_a_missing_envoy_is_one_line(tmp_path):
    """Nothing is started, and the line says what to do."""
    with demo(tmp_path, "-m", "detour", "demo", "--once", DETOUR_ENVOY="/nonexistent/envoy") as running:
        assert running.process.wait(STORY_SECONDS) == 2, running.text()
        assert running.text() == "detour: DETOUR_ENVOY=/nonexistent/envoy is not an executable file\n"
        assert left_in(tmp_path) == []
