"""Threads and timers, also where gevent has put its own in their place: they run, under who started them."""

import json
import subprocess
import sys

import pytest

PATCH = "from gevent import monkey\nmonkey.patch_all()\n"
INSTALL = "import detour.sdk\ndetour.sdk.install()\n"

PROGRAM = """
import json, threading
from detour.sdk import current, using

said = []
for kind in (lambda work: threading.Thread(target=work), lambda work: threading.Timer(0.001, work)):
    with using("users=pr-42"):
        started = kind(lambda: said.append(current().route("users")))
        started.start()
    started.join(10)
never = threading.Timer(60, said.append, args=("never",))
never.start()
never.cancel()
never.join(10)
print(json.dumps(said))
"""


@pytest.mark.parametrize(
    "start", [INSTALL, PATCH + INSTALL, INSTALL + PATCH], ids=["plain", "patched", "patched later"]
)
def test_threads_and_timers_run_under_the_request_that_started_them(start: str) -> None:
    """Patching is for good, so each program has an interpreter of its own."""
    ran = subprocess.run(
        [sys.executable, "-c", start + PROGRAM], capture_output=True, text=True, timeout=60, check=False
    )
    assert ran.returncode == 0, ran.stderr
    assert json.loads(ran.stdout) == ["pr-42", "pr-42"]
