"""The examples: what each README says to type is typed, on free ports, and prints what it says."""

import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from propagation.toolchains import TOOLCHAINS
from terminal import Terminal, terminal

ROOT = Path(__file__).parents[2]
EXAMPLES = ROOT / "examples"
JARS = ROOT / "tests/propagation/brokers/jars.sh"


class Example:
    """A copy of an example, in a folder of its own."""

    def __init__(self, name: str, folder: Path) -> None:
        self.folder = folder / name
        shutil.copytree(EXAMPLES / name, self.folder, ignore=shutil.ignore_patterns("node_modules"))

    def lines(self, where: Terminal) -> Iterator[tuple[str, str, bool]]:
        """Yield what its README says to type: the command, what it prints, and whether it goes on running."""
        text = (self.folder / "README.md").read_text()
        for block in re.findall(r"^```sh\n(.*?)^```", text, re.MULTILINE | re.DOTALL):
            for line in filter(None, block.splitlines()):
                command, _, printed = line.partition(" # prints: ")
                command, runs_on = command.strip().removesuffix("&").strip(), command.strip().endswith("&")
                yield where.completed(command), printed, runs_on

    def type(self) -> int:
        """Type all of it; return how many lines printed what they should."""
        checked, exported = 0, ""
        with terminal(self.folder) as here:
            for path in self.folder.rglob("*"):
                if path.is_file() and not path.is_symlink():
                    path.write_text(here.moved(path.read_text()))
            for command, printed, runs_on in self.lines(here):
                if command.startswith("export "):
                    exported += f"{command}; "
                elif runs_on:
                    here.start(command, exported)
                else:
                    here.expect(command, printed)
                    checked += bool(printed)
        return checked


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
