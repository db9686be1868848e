"""Links into scenarios: which requests bring one, and what Lua has to know of them (RDS v3)."""

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Final

from envoy.config.route.v3 import route_components_pb2 as components_pb2
from envoy.extensions.filters.http.lua.v3 import lua_pb2
from google.protobuf.any_pb2 import Any

from detour.envoy.vocabulary import ENTER, EVERYDAY, SCENARIO_COOKIE
from detour.mesh import Mesh, Scenarios
from detour.xds.route_parts import absent, contains, enabled, matches

_NAMING_NOTHING: Final = f"{SCENARIO_COOKIE}=;"
"""What stands among cookies where one names nothing, and another may follow."""


@dataclass(frozen=True, slots=True)
class Links:
    """What holds for all links into the scenarios of a mesh.

    Args:
        parameter: The query parameter that names a scenario.
        previews: The domains below which scenarios have hosts, to the service behind them.
        hosts: The hosts that lead to an edge, without patterns.
        everyday: The scenarios that have a name which is a usual value of parameters, such as `1` or `true`.
        cookie_domain: Where the cookie holds; empty for the one host that sets it.
    """

    parameter: str
    previews: Mapping[str, str]
    hosts: tuple[str, ...]
    everyday: tuple[str, ...]
    cookie_domain: str

    @staticmethod
    def of(mesh: Mesh) -> "Links":
        """Return those of a mesh."""
        settings, known = mesh.settings, mesh.scenarios or Scenarios()
        served = {**settings.edge_hosts, **settings.edge_previews}
        return Links(
            settings.edge_parameter,
            dict(sorted(settings.edge_previews.items())),
            tuple(sorted(host for host in served if "*" not in host)),
            tuple(sorted(filter(_is_everyday, {*known.live, *known.ended}))),
            settings.edge_cookie_domain,
        )

    def entering(self, service: str) -> Any:
        """Have Lua look for a link into a scenario in a route's requests.

        Args:
            service: The service behind the route's host.
        """
        # By name: inline, the code would be a Lua state of its own for each route, and each scenario has some.
        config = lua_pb2.LuaPerRoute(name=ENTER)
        fallback = next((domain for domain, behind in self.previews.items() if behind == service), "")
        values = {
            "parameter": self.parameter,
            "previews": " ".join(self.previews),
            "preview": fallback,
            "hosts": " ".join(self.hosts),
            "everyday": " ".join(self.everyday),
            "cookie_domain": self.cookie_domain,
        }
        config.filter_context.update(values)
        return enabled(config)

    @property
    def naming(self) -> str:
        """What stands in the path of a request that may bring a link."""
        return f"{self.parameter}="

    def absent(self) -> Iterator[components_pb2.HeaderMatcher]:
        """Yield what tells requests that bring none: each look at a header costs."""
        yield absent(":path", self.naming)
        # A page's own calls bring an origin or a referrer, too: only those of preview hosts are looked at.
        for domain in self.previews:
            yield absent("origin", f".{domain}")
            yield absent("referer", f".{domain}")

    def present(self) -> Iterable[components_pb2.HeaderMatcher]:
        """Yield what tells requests that may bring one, or come from a preview page, and some others."""
        # Not by Envoy's matcher of queries, which takes every request's path apart.
        yield contains(":path", self.naming)
        for domain in self.previews:
            host = rf"https?://[a-z0-9-]+\.{re.escape(domain)}(:[0-9]+)?"
            yield matches("origin", host)
            yield matches("referer", f"{host}([/?#].*)?")
        # Behind a cookie that says nothing may stand another one; only Lua looks further.
        yield contains("cookie", _NAMING_NOTHING)


def _is_everyday(name: str) -> bool:
    return name in EVERYDAY or not re.search("[a-z]", name)
