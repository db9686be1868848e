"""What builds the services that are not Python's."""

import subprocess
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Final

_BUILD_SECONDS: Final = 900
_PROPAGATION: Final = Path(__file__).parents[1]
_SETUP: Final = _PROPAGATION.parents[1] / "setup"


@dataclass(frozen=True)
class Toolchain:
    """A language's tools.

    Args:
        name: What people call it.
        script: What builds a folder, in the project's folder of set-up; it does nothing if that has been done.
        services: The folder with the language's services.
        is_packaged: Whether PyPI, npm and Debian are enough for it.
    """

    name: str
    script: str
    services: str
    is_packaged: bool

    def why_not(self) -> str:
        """Build the services; say why that can't be done on this machine, "" if it is done."""
        why = _built(self.script, self.services)
        return why and f"{self.name}: {why}"


@cache
def _built(script: str, services: str) -> str:
    ran = subprocess.run(
        [_SETUP / script, _PROPAGATION / services],
        capture_output=True,
        text=True,
        timeout=_BUILD_SECONDS,
        check=False,
    )
    last = (ran.stderr.strip().splitlines() or ["it said nothing"])[-1].removeprefix("Detour: ")
    return last if ran.returncode else ""


TOOLCHAINS = {
    one.name: one
    for one in (
        Toolchain("TypeScript", "typescript.sh", "typescript", is_packaged=True),
        Toolchain("Go", "go.sh", "go", is_packaged=False),
    )
}
