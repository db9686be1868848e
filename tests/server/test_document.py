"""The OpenAPI document: requests that it allows and forbids, sent to a real server by schemathesis."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from cli.running import environment, serving

CONFIG = Path(__file__).with_name("schemathesis.toml")
MESH = """\
services:
  users: {endpoints: ["127.0.0.1:9001"]}
"""


@pytest.mark.parametrize(
    "examples", [pytest.param(20, id="some"), pytest.param(400, id="many", marks=pytest.mark.more)]
)
def test_the_api_is_as_documented(tmp_path, examples):
    """Every operation, every check that there is, and sequences of operations."""
    mesh = tmp_path / "mesh" / "mesh.yaml"
    mesh.parent.mkdir()
    mesh.write_text(MESH)
    program = shutil.which("schemathesis", path=str(Path(sys.executable).parent))
    with serving(mesh) as server:
        command = [program, "--config-file", str(CONFIG), "run", f"{server.url}/openapi.json", "--checks", "all"]
        command += ["--max-examples", str(examples), "--generation-deterministic", "--no-color"]
        done = subprocess.run(
            command, cwd=tmp_path, env=environment(), capture_output=True, text=True, check=False, timeout=500
        )
    assert done.returncode == 0, done.stdout[:10_000]
