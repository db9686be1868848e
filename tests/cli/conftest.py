"""A mesh file with two services, and a server of it that the tests of a module share."""

import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from cli.running import Server, serving
from detour.cli import main

MESH = """\
services:
  users:
    endpoints: ["127.0.0.1:9001"]
    deployments:
      filed: {endpoints: ["127.0.0.1:9002"], owner: ops}
  payments:
    endpoints: ["127.0.0.1:9003"]
edge:
  hosts: {"*": users}
"""


def _written(folder: Path) -> Path:
    path = folder / "mesh" / "mesh.yaml"
    path.parent.mkdir()
    path.write_text(MESH)
    return path


@pytest.fixture
def mesh_file(tmp_path: Path) -> Path:
    """Write the mesh file, in a folder of its own."""
    return _written(tmp_path)


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """Run a server."""
    with serving(_written(tmp_path_factory.mktemp("server"))) as started:
        yield started


@pytest.fixture
def here(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> "Callable[..., subprocess.CompletedProcess[str]]":
    """Run a command in the test's own process, where only its words matter: none waits for another Python."""

    def run(*arguments: str) -> "subprocess.CompletedProcess[str]":
        monkeypatch.setattr(sys, "argv", ["detour", *arguments])
        handler = signal.getsignal(signal.SIGINT)
        with pytest.raises(SystemExit) as ended:
            main()
        signal.signal(signal.SIGINT, handler)
        return subprocess.CompletedProcess(arguments, ended.value.code or 0, *capsys.readouterr())

    return run
