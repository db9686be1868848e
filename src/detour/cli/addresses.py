"""Parsers of addresses, ports and times in options; they refuse an invalid value before anything starts."""

import re
from ipaddress import ip_address

import typer

from detour.mesh import Endpoint

_HOST_AND_PORT = re.compile(r"(?:[A-Za-z0-9._-]+|\[[0-9A-Fa-f:.]+\]):([0-9]{1,5})", re.ASCII)
_HOUR_SECONDS = 3600


def port(text: str | int) -> int:
    """Parse a TCP port."""
    if not re.fullmatch("[0-9]{1,5}", str(text), re.ASCII) or not 0 < int(text) < 2**16:
        raise typer.BadParameter(f"expected a port from 1 to 65535, got {text!r}")
    return int(text)


def seconds(text: str | float) -> float:
    """Parse a duration in seconds, at most one hour."""
    try:
        found = float(str(text).removesuffix("s"))
    except ValueError:
        found = -1
    if not 0 <= found <= _HOUR_SECONDS:
        raise typer.BadParameter(f"expected seconds from 0 to {_HOUR_SECONDS}, got {text!r}")
    return found


def user_id(text: str | int) -> int:
    """Parse a numeric user id."""
    if not re.fullmatch("[0-9]{1,9}", str(text), re.ASCII):
        raise typer.BadParameter(f"expected a numeric user id such as 1337, got {text!r}")
    return int(text)


def ip(text: str) -> str:
    """Parse an IP address."""
    try:
        return str(ip_address(text))
    except ValueError:
        raise typer.BadParameter(f"expected an IP address such as 127.0.0.1, got {text!r}") from None


def ip_and_port(text: str) -> str:
    """Parse `127.0.0.1:8000`, `[::1]:8000` or `localhost:8000` (127.0.0.1)."""
    try:
        return str(Endpoint.parse(text))
    except ValueError as error:
        raise typer.BadParameter(f"{error}, got {text!r}") from None


def host_and_port(text: str) -> str:
    """Parse `host:port`; the host may be a name."""
    match = _HOST_AND_PORT.fullmatch(text)
    if match is None or not 0 < int(match[1]) < 2**16:
        raise typer.BadParameter(f"expected host:port such as 127.0.0.1:15010, got {text!r}")
    return text
