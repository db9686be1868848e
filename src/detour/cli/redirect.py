"""`detour redirect`: redirects a pod's outbound connections to its sidecar; run by the init container."""

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
    jump = _run([tool, "-w", str(_WAIT_SECONDS), "-t", "nat", "-C", *JUMP]).returncode != 0
    rules = redirection.rules(version, jump=jump)
    done = _run([f"{tool}-restore", "-w", str(_WAIT_SECONDS), "--noflush"], rules)
    if done.returncode != 0:
        reason = " ".join(done.stderr.split()) or f"status {done.returncode}"
        raise RuntimeError(
            f"cannot redirect this pod's connections: {tool}-restore failed: {reason}. It needs root, NET_ADMIN and"
            " a kernel with NAT, REDIRECT and owner matching; explicit mode needs none of these"
        )


def _run(command: list[str], text: str = "") -> "subprocess.CompletedProcess[str]":
    try:
        return subprocess.run(command, input=text, capture_output=True, text=True, check=False)  # noqa: S603
    except FileNotFoundError as error:
        raise RuntimeError(f"{command[0]} is missing: transparent mode needs an image with iptables") from error
