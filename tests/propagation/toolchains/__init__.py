"""What builds the services that are not Python's."""

import subprocess
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Final

_BUILD_SECONDS: Final = 900


@dataclass(frozen=True)
class Toolchain:
    """A language's tools.

    Args:
        name: What people call it.
        script: What builds all of the language's services; it does nothing if that has been done.
        is_packaged: Whether PyPI, npm and Debian are enough for it.
    """

    name: str
    script: str
    is_packaged: bool

    def why_not(self) -> str:
        """Build the services; say why that can't be done on this machine, "" if it is done."""
        why = _built(self.script)
        return why and f"{self.name}: {why}"


@cache
def _built(script: str) -> str:
    path = Path(__file__).with_name(script)
    ran = subprocess.run([path], capture_output=True, text=True, timeout=_BUILD_SECONDS, check=False)
    last = (ran.stderr.strip().splitlines() or ["it said nothing"])[-1].removeprefix("Detour: ")
    return last if ran.returncode else ""


TOOLCHAINS = {one.name: one for one in (Toolchain("TypeScript", "typescript.sh", is_packaged=True),)}
