"""The examples: what each README says to type is typed, on free ports, and prints what it says."""

import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from ports import free_port
from propagation.toolchains import TOOLCHAINS

ROOT = Path(__file__).parents[2]
EXAMPLES = ROOT / "examples"
JARS = ROOT / "tests/propagation/brokers/jars.sh"
PORTS = ("9001", "9002", "9102", "9080", "8000")
DEADLINE_SECONDS = 60

# What is not the same for all that runs on one machine, and has no place in an example.
OPTIONS = {
    "detour serve": "--xds 127.0.0.1:{xds} --api 127.0.0.1:{api}",
    "detour sidecar": "--outbound-port {outbound} --inbound-port {inbound} --admin-port {admin}",
    "detour edge": "--listen 127.0.0.1:{8000} --admin-port {admin}",
}


class Example:
    """A copy of an example, on ports of its own."""

    def __init__(self, name: str, folder: Path) -> None:
        self.folder = folder / name
        shutil.copytree(EXAMPLES / name, self.folder, ignore=shutil.ignore_patterns("node_modules"))
        self.ports = {port: str(free_port()) for port in PORTS}
        self.ports |= {word: str(free_port()) for word in ("xds", "api", "outbound", "inbound", "admin")}
        self.ports["15001"] = self.ports["outbound"]
        for path in self.folder.rglob("*"):
            if path.is_file():
                path.write_text(self._moved(path.read_text()))
        self.environment = {
            **{key: value for key, value in os.environ.items() if not key.startswith("DETOUR_")},
            "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}:/usr/sbin",
            "DETOUR_CONTROL_PLANE": f"127.0.0.1:{self.ports['xds']}",
            "DETOUR_SERVER": f"http://127.0.0.1:{self.ports['api']}",
            "no_proxy": "",
        }

    def _moved(self, text: str) -> str:
        return re.sub(
            r"\b(?:127\.0\.0\.1:|--port |=)?(9001|9002|9102|9080|8000|15001)\b",
            lambda found: found[0].replace(found[1], self.ports[found[1]]),
            text,
        )

    def lines(self) -> Iterator[tuple[str, str, bool]]:
        """Yield what its README says to type: the command, what it prints, and whether it goes on running."""
        text = (self.folder / "README.md").read_text()
        for block in re.findall(r"^```sh\n(.*?)^```", text, re.MULTILINE | re.DOTALL):
            for line in filter(None, block.splitlines()):
                command, _, printed = line.partition(" # prints: ")
                command, runs_on = command.strip().removesuffix("&").strip(), command.strip().endswith("&")
                for start, options in OPTIONS.items():
                    if command.startswith(start):
                        moved = re.sub(r"\{(\w+)\}", lambda found: self.ports[found[1]], options)
                        command = f"{command} {moved}"
                yield command, printed, runs_on

    def type(self) -> int:
        """Type all of it; return how many lines printed what they should."""
        checked, exported = 0, ""
        with self._running() as start:
            for command, printed, runs_on in self.lines():
                if command.startswith("export "):
                    exported += f"{command}; "
                elif runs_on:
                    start(exported + _replacing_shell(command))
                else:
                    self._expect(command, printed)
                    checked += bool(printed)
        return checked

    @contextmanager
    def _running(self) -> Iterator:
        started: list[subprocess.Popen[bytes]] = []

        def start(command: str) -> None:
            started.append(
                subprocess.Popen(
                    ["bash", "-c", command], cwd=self.folder, env=self.environment, start_new_session=True
                )
            )

        try:
            yield start
        finally:
            for process in reversed(started):
                if process.poll() is None:
                    os.killpg(process.pid, signal.SIGTERM)
            for process in started:
                try:
                    process.wait(30)
                except subprocess.TimeoutExpired:
                    os.killpg(process.pid, signal.SIGKILL)
                    process.wait(30)

    def _expect(self, command: str, printed: str) -> None:
        deadline = time.monotonic() + DEADLINE_SECONDS
        while True:
            done = subprocess.run(
                ["bash", "-c", command],
                cwd=self.folder,
                env=self.environment,
                capture_output=True,
                text=True,
                check=False,
                timeout=DEADLINE_SECONDS,
            )
            if done.returncode == 0 and (done.stdout.strip() == printed or not printed):
                return
            assert time.monotonic() < deadline, (command, done.stdout, done.stderr)
            time.sleep(0.1)


def _replacing_shell(command: str) -> str:
    """Have the program take the place of the shell that starts it; variables stand in front."""
    variables = re.match(r"(?:\w+=\S+ )*", command)[0]
    return f"{variables and f'export {variables};'} exec {command[len(variables) :]}"


@pytest.mark.parametrize(("name", "count"), [("two-services", 2), ("fastapi", 3), ("kubernetes", 1)])
def test_what_the_readme_says_is_true(tmp_path: Path, name: str, count: int) -> None:
    """All of it, from the first line to the last."""
    assert Example(name, tmp_path).type() == count


def test_an_edge_works_behind_nginx(tmp_path: Path) -> None:
    """Where nginx is."""
    if shutil.which("nginx", path="/usr/sbin:/usr/bin") is None:
        pytest.skip("no nginx on this machine: apt-get install nginx-light")
    assert Example("nginx", tmp_path).type() == 4


def test_node_needs_no_code_of_detours(tmp_path: Path) -> None:
    """The packages are those of the conformance suite's services."""
    if missing := TOOLCHAINS["TypeScript"].why_not():
        pytest.skip(missing)
    example = Example("node", tmp_path)
    (example.folder / "node_modules").symlink_to(ROOT / "tests/propagation/typescript/node_modules")
    assert example.type() == 2


@pytest.mark.more
def test_java_needs_opentelemetrys_agent_alone(tmp_path: Path) -> None:
    """The agent comes from Maven."""
    found = subprocess.run([JARS, EXAMPLES / "java"], capture_output=True, text=True, check=False, timeout=300)
    if found.returncode:
        pytest.skip(found.stderr.splitlines()[-1].removeprefix("Detour: "))
    (agent,) = Path(found.stdout.strip()).glob("opentelemetry-javaagent-*.jar")
    example = Example("java", tmp_path)
    (example.folder / "opentelemetry-javaagent.jar").symlink_to(agent)
    assert example.type() == 2


def test_each_example_is_tested_and_listed() -> None:
    """Each has a README, a line in the list, and a test here."""
    names = {path.name for path in EXAMPLES.iterdir() if path.is_dir()}
    listed = set(re.findall(r"^\| \[([a-z-]+)\]\(\1\)", (EXAMPLES / "README.md").read_text(), re.MULTILINE))
    code = Path(__file__).read_text()
    assert listed == names == {name for name in names if f'"{name}"' in code}
    assert all((EXAMPLES / name / "README.md").is_file() for name in names)
