"""The Lua that Envoy runs, as text.

Invariant: what is sent is what the tests run under LuaJIT, less comments and indentation.
"""

import re
from functools import cache
from importlib.resources import files

from detour.envoy.vocabulary import EVERYDAY
from detour.mesh import Naming

_COMMENT = re.compile(r"^\s*--[^\n]*$", re.MULTILINE)
_INDENT = re.compile(r"^[ \t]+|[ \t]+$", re.MULTILINE)
_BLANK = re.compile(r"\n{2,}")
_NO_NAMESPACES = Naming()


@cache
def override_source(
    *, service: str = "", opentracing: bool = False, naming: Naming = _NO_NAMESPACES, caller: str = ""
) -> str:
    """Return the code that reads overrides, for the cluster specifier and for the fault routes alike.

    Args:
        service: The service that requests are for; by default the host that each of them names.
        opentracing: Whether overrides in `x-ot-span-context` count too.
        naming: Which service a host name means.
        caller: The namespace of those who call.
    """
    fixed = f'DETOUR_SERVICE = "{service}"\n' if service else _namespaces(naming, caller)
    carriers = (_code("opentracing.lua") if opentracing else "") + _code("member.lua")
    return fixed + carriers + _code("service.lua") + _code("override.lua")


@cache
def plain_source(*, naming: Naming = _NO_NAMESPACES, caller: str = "") -> str:
    """Return the code that reads baggage of which the route has found that all of it can be read.

    Args:
        naming: Which service a host name means.
        caller: The namespace of those who call.
    """
    return _namespaces(naming, caller) + _code("service.lua") + _code("plain.lua")


@cache
def edge_faults_source(*, opentracing: bool) -> str:
    """Return the code that reads overrides at an edge, for the fault routes of all services behind it."""
    return _code("route_service.lua") + override_source(opentracing=opentracing)


def _namespaces(naming: Naming, caller: str) -> str:
    if not naming.home:
        return ""
    values = {"HOME": naming.home, "CALLER": caller or naming.home, "DOMAIN": naming.domain}
    return "".join(f'DETOUR_{name} = "{value}"\n' for name, value in values.items())


@cache
def connect_source() -> str:
    """Return the code that names the end of a CONNECT tunnel, for the cluster specifier."""
    return _code("connect.lua")


def connect_overrides_source(source: str) -> str:
    """Return the code that does so for a CONNECT with overrides, behind code that reads these."""
    return source + _code("connect_overrides.lua")


@cache
def known_source(otherwise: str, prefix: str = "") -> str:
    """Return the code that names a host's cluster if this Envoy has it, for the cluster specifier.

    Args:
        otherwise: The cluster that it names if not.
        prefix: What stands before the host in the cluster's name.
    """
    return f'DETOUR_ELSE = "{otherwise}"\nDETOUR_PREFIX = "{prefix}"\n' + _code("known.lua")


@cache
def clock_source() -> str:
    """Return the code that notes when the control plane is asked where a host is."""
    return _code("clock.lua")


@cache
def asked_source() -> str:
    """Return the code that has a request take its route anew, once the control plane has been asked."""
    return _code("asked.lua")


@cache
def way_out_source(resolver: str) -> str:
    """Return the code that lets a request go on without the control plane's answer, if DNS knows its host.

    Args:
        resolver: The cluster that says whether DNS knows a host.
    """
    return f'DETOUR_RESOLVER = "{resolver}"\n' + _code("way_out.lua")


@cache
def resolved_source() -> str:
    """Return the code that answers once a host is resolved."""
    return _code("resolved.lua")


@cache
def closed_source() -> str:
    """Return the code that tells requests with overrides from those that only look like it."""
    return _carries() + _code("closed.lua")


@cache
def ignore_source(words: str) -> str:
    """Return the code that takes overrides out of requests while they are switched off.

    Args:
        words: What the response says became of them: printable ASCII.
    """
    return f"DETOUR_IGNORED = {_quoted(words)}\n" + _carries() + _code("strip.lua") + _code("ignore.lua")


def _carries() -> str:
    return _code("member.lua") + _code("opentracing.lua") + _code("carries.lua")


def _quoted(text: str) -> str:
    escaped = text.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'


@cache
def strip_source() -> str:
    """Return the code that takes every override out of a request's baggage."""
    return _code("member.lua") + _code("strip.lua")


@cache
def leave_source() -> str:
    """Return the code that does so on the way out of the mesh, and notes what it took."""
    return strip_source() + _code("leave.lua")


@cache
def guard_source() -> str:
    """Return the code that does so at an edge, unless the request has brought a token."""
    return strip_source() + _code("guard.lua")


@cache
def enter_source() -> str:
    """Return the code that puts a request into the scenario that its query, its cookie or its page names."""
    return f'DETOUR_EVERYDAY = "{" ".join(EVERYDAY)}"\n' + _code("enter.lua")


@cache
def scenario_source() -> str:
    """Return the code that adds a scenario's overrides to a request's baggage."""
    return guard_source() + _code("scenario.lua")


@cache
def _code(name: str) -> str:
    text = files("detour.envoy").joinpath(name).read_text(encoding="utf-8")
    for pattern, replacement in ((_COMMENT, ""), (_INDENT, ""), (_BLANK, "\n")):
        text = pattern.sub(replacement, text)
    return text.lstrip("\n")
