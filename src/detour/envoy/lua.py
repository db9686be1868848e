"""The Lua that Envoy runs, as text.

Invariant: the tests run the same code under LuaJIT. Only comments and indentation are removed from it.
"""

import re
from functools import cache
from importlib.resources import files

from detour.envoy.vocabulary import COMMON_VALUES, TUNNEL_QUESTION_HEADER
from detour.mesh import Naming

_COMMENT = re.compile(r"^\s*--[^\n]*$", re.MULTILINE)
_INDENT = re.compile(r"^[ \t]+|[ \t]+$", re.MULTILINE)
_BLANK = re.compile(r"\n{2,}")
_NO_NAMESPACES = Naming()


@cache
def override_source(
    *, service: str = "", opentracing: bool = False, naming: Naming = _NO_NAMESPACES, caller: str = ""
) -> str:
    """Return the code that reads overrides, for the cluster specifier and for the fault routes.

    Args:
        service: The service that requests are for; by default the one that each request's host names.
        opentracing: Whether overrides in `x-ot-span-context` apply, too.
        naming: Maps host names to services.
        caller: The namespace of the callers.
    """
    fixed = f'DETOUR_SERVICE = "{service}"\n' if service else _namespaces(naming, caller)
    carriers = (_code("opentracing.lua") if opentracing else "") + _code("member.lua")
    return fixed + carriers + _code("service.lua") + _code("override.lua")


@cache
def plain_source(*, naming: Naming = _NO_NAMESPACES, caller: str = "") -> str:
    """Return the code that reads plain baggage, which the route has found to be completely readable.

    Args:
        naming: Maps host names to services.
        caller: The namespace of the callers.
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
    """Return the cluster specifier's code for the end of a CONNECT tunnel."""
    return _code("connect.lua")


def connect_overrides_source(source: str) -> str:
    """Return the same for a CONNECT with overrides; it follows the code that reads them."""
    return source + _code("connect_overrides.lua")


@cache
def known_source(otherwise: str, prefix: str = "") -> str:
    """Return the cluster specifier's code that selects a host's cluster if this Envoy holds it.

    Args:
        otherwise: The cluster that it selects if not.
        prefix: The prefix of the host in the cluster's name.
    """
    return f'DETOUR_ELSE = "{otherwise}"\nDETOUR_PREFIX = "{prefix}"\n' + _code("known.lua")


@cache
def ask_source(asking: str, patience_ms: int) -> str:
    """Return the code that requests a host's cluster from the control plane.

    Args:
        asking: The cluster that answers once the control plane has.
        patience_ms: How long a request waits for that answer.
    """
    names = {"ASKING": asking, "TUNNEL_HEADER": TUNNEL_QUESTION_HEADER}
    fixed = "".join(f'DETOUR_{name} = "{value}"\n' for name, value in names.items())
    return f"{fixed}DETOUR_PATIENCE = {patience_ms}\n" + _code("ask.lua")


@cache
def way_out_source(resolver: str) -> str:
    """Return the code that forwards a request without the control plane's answer, if DNS resolves its host.

    Args:
        resolver: The cluster that answers whether DNS resolves a host.
    """
    return f'DETOUR_RESOLVER = "{resolver}"\n' + _code("way_out.lua")


@cache
def answered_source() -> str:
    """Return the code that answers a question that the filters before it have let through."""
    return _code("answered.lua")


@cache
def closed_source() -> str:
    """Return the code that distinguishes requests with overrides from those that only match the route's pattern."""
    return _carries() + _code("closed.lua")


@cache
def ignore_source(words: str) -> str:
    """Return the code that removes overrides from requests while they are switched off.

    Args:
        words: The reason for the response header; printable ASCII.
    """
    return f"DETOUR_IGNORED = {_quoted(words)}\n" + _carries() + _code("strip.lua") + _code("ignore.lua")


def _carries() -> str:
    return _code("member.lua") + _code("opentracing.lua") + _code("carries.lua")


def _quoted(text: str) -> str:
    escaped = text.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'


@cache
def strip_source() -> str:
    """Return the code that removes all overrides from a request's baggage."""
    return _code("member.lua") + _code("strip.lua")


@cache
def leave_source() -> str:
    """Return the code that does so on the way out of the mesh, and records what it removed."""
    return strip_source() + _code("leave.lua")


@cache
def guard_source() -> str:
    """Return the code that does so at an edge, unless the request has a valid token."""
    return strip_source() + _code("guard.lua")


@cache
def enter_source() -> str:
    """Return the code that finds the scenario that a request's query, cookie or page names."""
    return f'DETOUR_COMMON_VALUES = "{" ".join(COMMON_VALUES)}"\n' + _code("enter.lua")


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
