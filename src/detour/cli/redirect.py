"""`detour redirect`: redirects a pod's outbound connections to its sidecar; run by the init container."""

import os
import shutil
import subprocess
from pathlib import Path
from typing import Annotated, Final

import typer

from detour.cli import addresses
from detour.injection.redirection import JUMP, Redirection, Version

_TOOLS: Final[dict[Version, str]] = {4: "iptables", 6: "ip6tables"}
_ADDRESSES_6: Final = Path("/proc/net/if_inet6")
_LINE_WORDS: Final = 6
_GLOBAL: Final = "00"
_WAIT_SECONDS: Final = 10

_BACKENDS: Final = ("", "-nft", "-legacy")
"""Suffixes of iptables' programs: the default, and those for the kernel's two interfaces, which may lack one."""

_LOCK_FOLDER: Final = Path("/run")
_NO_LOCK: Final = "/dev/null"
"""iptables-legacy locks a file in /run. A read-only root file system has none, and no other program to wait for."""

ToPort = Annotated[
    int, typer.Option(help="The port of the sidecar's transparent listener.", metavar="PORT", parser=addresses.port)
]
ExemptUid = Annotated[
    int,
    typer.Option(
        help="The user id of the sidecar, whose connections stay as they are.",
        metavar="UID",
        parser=addresses.user_id,
    ),
]
ExcludePort = Annotated[
    list[int] | None,
    typer.Option(help="A destination port not to redirect; repeatable.", metavar="PORT", parser=addresses.port),
]
ExcludeCidr = Annotated[
    list[str] | None,
    typer.Option(help="Destination addresses not to redirect; repeatable.", metavar="CIDR"),
]
DryRun = Annotated[bool, typer.Option("--dry-run", help="Print the rules and change nothing.")]


def redirect(
    *,
    to_port: ToPort = 15001,
    exempt_uid: ExemptUid = 1337,
    exclude_port: ExcludePort = None,
    exclude_cidr: ExcludeCidr = None,
    dry_run: DryRun = False,
) -> None:
    """Redirect the outbound connections of a pod to its sidecar.

    It redirects all outbound TCP connections of this network namespace. The init container of pods in transparent
    mode runs it, as root with NET_ADMIN. Running it again replaces its rules.
    """
    redirection = Redirection(to_port, exempt_uid, tuple(exclude_port or ()), tuple(exclude_cidr or ()))
    for version, tool in _TOOLS.items():
        if dry_run:
            typer.echo(f"# {tool}-restore --noflush\n{redirection.rules(version)}", nl=False)
        elif version == 4 or _has_ipv6():
            _apply(tool, redirection, version)


def _has_ipv6() -> bool:
    """Return whether the namespace has a global IPv6 address; without one, no IPv6 leaves it.

    Each line of the file is address, index, prefix length, scope, flags and device, in hexadecimal (proc(5)).
    """
    if not _ADDRESSES_6.exists():
        return False
    lines = (line.split() for line in _ADDRESSES_6.read_text(encoding="ascii").splitlines())
    return any(len(line) == _LINE_WORDS and line[3] == _GLOBAL for line in lines)


def _apply(tool: str, redirection: Redirection, version: Version) -> None:
    """Apply the rules with the first of the system's iptables that the kernel supports."""
    reasons = []
    for name in _backends(tool):
        if not (reason := _failure(name, redirection, version)):
            return
        reasons.append(f"{name}-restore failed: {reason}")
    if not reasons:
        raise RuntimeError(f"{tool} is missing: transparent mode needs an image with iptables")
    raise RuntimeError(
        f"cannot redirect this pod's connections: {'; '.join(reasons)}. It needs root, NET_ADMIN and a kernel with"
        " NAT, REDIRECT and owner matching; explicit mode needs none of these"
    )


def _backends(tool: str) -> list[str]:
    """Return the names of the tool's variants that the system has, each program once."""
    found: dict[str, str] = {}
    for backend in _BACKENDS:
        name = f"{tool}{backend}"
        if path := shutil.which(name):
            found.setdefault(_kind(path), name)
    return list(found.values())


def _kind(path: str) -> str:
    """Return what a program is: Debian's alternatives lead to `xtables-nft-multi` or `xtables-legacy-multi`."""
    return str(Path(path).resolve())


def _failure(tool: str, redirection: Redirection, version: Version) -> str:
    """Apply the rules with a tool; return why it failed, or nothing."""
    jump = _run([tool, "-w", str(_WAIT_SECONDS), "-t", "nat", "-C", *JUMP]).returncode != 0
    rules = redirection.rules(version, jump=jump)
    done = _run([f"{tool}-restore", "-w", str(_WAIT_SECONDS), "--noflush"], rules)
    return "" if done.returncode == 0 else " ".join(done.stderr.split()) or f"status {done.returncode}"


def _run(command: list[str], text: str = "") -> "subprocess.CompletedProcess[str]":
    known = dict(os.environ)
    if not os.access(_LOCK_FOLDER, os.W_OK):
        known.setdefault("XTABLES_LOCKFILE", _NO_LOCK)
    try:
        return subprocess.run(command, input=text, capture_output=True, text=True, check=False, env=known)  # noqa: S603
    except FileNotFoundError as error:
        raise RuntimeError(f"{command[0]} is missing: transparent mode needs an image with iptables") from error
