"""`detour redirect` with iptables' two backends, on a read-only root file system, as the init container runs it."""

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from injection.pod_network import Namespace, missing, pod_network

BACKENDS = ("nft", "legacy")
MISSING = missing() or ", ".join(one for one in BACKENDS if shutil.which(f"xtables-{one}-multi") is None)

pytestmark = pytest.mark.skipif(bool(MISSING), reason=f"missing: {MISSING}")

READ_ONLY = """\
mount --make-rprivate /
mount -t tmpfs -o ro tmpfs /run
mount -o remount,ro,bind /
! touch /run/writable /writable 2>/dev/null || exit 99
exec "$@"
"""
"""Runs a command in a mount namespace without a file that it could write, and without xtables.lock."""


@pytest.fixture
def pod() -> Iterator[Namespace]:
    """Make a pod's network."""
    with pod_network(ipv6=True) as network:
        yield network.pod


def tools(folder: Path, **programs: str) -> Path:
    """Make a folder with iptables' programs: a suffix, with underscores for hyphens, and what to run for it."""
    folder.mkdir()
    for name, program in programs.items():
        for version in ("iptables", "ip6tables"):
            for restore in ("", "-restore"):
                made = folder / f"{version}{name.replace('_', '-')}{restore}"
                made.symlink_to(shutil.which(program) or program)
    return folder


def redirect(pod: Namespace, path: Path) -> "subprocess.CompletedProcess[str]":
    """Redirect the pod's connections with the programs of a folder."""
    command = [sys.executable, "-m", "detour", "redirect", "--exclude-port=3306"]
    isolated = ["unshare", "--mount", "sh", "-ec", READ_ONLY, "sh", *command]
    known = {**os.environ, "PATH": f"{path}"}
    entered = ["/usr/bin/nsenter", f"--net={pod.path}", "/usr/bin/env", f"PATH={os.environ['PATH']}", *isolated]
    entered[-len(command) : -len(command)] = ["/usr/bin/env", f"PATH={path}"]
    return subprocess.run(entered, capture_output=True, text=True, check=False, timeout=60, env=known)


def chain(pod: Namespace, version: str, backend: str) -> list[str]:
    """Return the rules of the chain, as a backend has them; none if it has no such chain."""
    rules = pod.run(f"{version}-{backend}", "-t", "nat", "-S").splitlines()
    return [rule for rule in rules if "DETOUR" in rule]


@pytest.mark.parametrize("backend", BACKENDS)
def test_both_backends_redirect_on_a_read_only_root(pod: Namespace, backend: str, tmp_path: Path) -> None:
    """Both IP versions; running it again changes nothing."""
    path = tools(tmp_path / "bin", **{"": f"xtables-{backend}-multi"})
    for _ in range(2):
        done = redirect(pod, path)
        assert (done.returncode, done.stderr) == (0, "")
        for version in ("iptables", "ip6tables"):
            rules = chain(pod, version, backend)
            assert "-A OUTPUT -p tcp -j DETOUR" in rules
            assert "-A DETOUR -p tcp -j REDIRECT --to-ports 15001" in rules
            assert len(rules) == 6
    (other,) = set(BACKENDS) - {backend}
    assert chain(pod, "iptables", other) == []


@pytest.mark.parametrize("backend", BACKENDS)
def test_the_other_backend_is_used_where_the_kernel_lacks_the_default(
    pod: Namespace, backend: str, tmp_path: Path
) -> None:
    """As on nodes without nf_tables, or without the legacy tables."""
    path = tools(tmp_path / "bin", **{"": "false", f"_{backend}": f"xtables-{backend}-multi"})
    assert redirect(pod, path).returncode == 0
    assert "-A OUTPUT -p tcp -j DETOUR" in chain(pod, "iptables", backend)


def test_all_reasons_are_given(pod: Namespace, tmp_path: Path) -> None:
    """Of each backend, in one line; and that there is none at all."""
    failed = redirect(pod, tools(tmp_path / "bin", **{"": "false"}))
    assert failed.returncode == 2
    assert "cannot redirect this pod's connections: iptables-restore failed: status 1. It needs" in failed.stderr
    none = redirect(pod, tools(tmp_path / "empty"))
    assert "iptables is missing: transparent mode needs an image with iptables" in none.stderr
