"""The SDK for Go: its own tests, where Go is."""

import shutil
import subprocess
from pathlib import Path

import pytest

SDK = Path(__file__).parents[2] / "sdk" / "go"

pytestmark = [
    pytest.mark.more,
    pytest.mark.skipif(shutil.which("go") is None, reason="Go: no Go on this machine"),
]


def go(*arguments: str, module: Path) -> str:
    """Run Go's command in a module, and return what it printed."""
    ran = subprocess.run(["go", *arguments], cwd=module, capture_output=True, text=True, timeout=600, check=False)
    assert ran.returncode == 0, (ran.stdout + ran.stderr)[-4000:]
    return ran.stdout


@pytest.mark.parametrize("module", sorted(SDK.rglob("go.mod")), ids=lambda found: found.parent.name)
def test_its_own_tests_pass(module: Path) -> None:
    """And vet finds nothing, in each of its modules."""
    go("vet", "./...", module=module.parent)
    go("test", "-count=1", "./...", module=module.parent)  # vectors lie outside: no cache knows of them


def test_it_is_formatted() -> None:
    """As Go formats it."""
    ran = subprocess.run(["gofmt", "-l", str(SDK)], capture_output=True, text=True, timeout=60, check=True)
    assert ran.stdout == ""
