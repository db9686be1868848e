"""Links into scenarios: matchers for requests that may contain one, and the configuration of the Lua (RDS v3)."""

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Final

from envoy.config.route.v3 import route_components_pb2 as components_pb2
from envoy.extensions.filters.http.lua.v3 import lua_pb2
from google.protobuf.any_pb2 import Any

from detour.envoy.vocabulary import COMMON_VALUES, ENTER, SCENARIO_COOKIE
from detour.mesh import Mesh, Scenarios
from detour.xds.route_parts import absent, contains, enabled, matches

_NAMING_NOTHING: Final = f"{SCENARIO_COOKIE}=;"
"""Text in a cookie header where the first cookie is empty; another one may follow."""


@dataclass(frozen=True, slots=True)
class Links:
    """The rules for links into the scenarios of a mesh.

    Args:
        parameter: The query parameter that names a scenario.
        previews: Preview domains, each with the service behind it. Scenarios have hosts below these domains.
        hosts: The hosts that lead to an edge, without wildcards.
        common_values: The scenarios whose names are also common parameter values, such as `1` or `true`.
        cookie_domain: The domain of the scenario cookie; empty for a host-only cookie.
    """

    parameter: str
    previews: Mapping[str, str]
    hosts: tuple[str, ...]
    common_values: tuple[str, ...]
    cookie_domain: str

    @staticmethod
    def of(mesh: Mesh) -> "Links":
        """Return the rules of a mesh."""
        settings, known = mesh.settings, mesh.scenarios or Scenarios()
        served = {**settings.edge_hosts, **settings.edge_previews}
        return Links(
            settings.edge_parameter,
            dict(sorted(settings.edge_previews.items())),
            tuple(sorted(host for host in served if "*" not in host)),
            tuple(sorted(filter(_is_common_value, {*known.live, *known.ended}))),
            settings.edge_cookie_domain,
        )

    def entering(self, service: str) -> Any:
        """Return the Lua configuration that looks for a link into a scenario in a route's requests.

        Args:
            service: The service behind the route's host.
        """
        # Referenced by name: each inline copy of the code would be a Lua state of its own, for each route.
        config = lua_pb2.LuaPerRoute(name=ENTER)
        fallback = next((domain for domain, behind in self.previews.items() if behind == service), "")
        values = {
            "parameter": self.parameter,
            "previews": " ".join(self.previews),
            "preview": fallback,
            "hosts": " ".join(self.hosts),
            "everyday": " ".join(self.common_values),
            "cookie_domain": self.cookie_domain,
        }
        config.filter_context.update(values)
        return enabled(config)

    @property
    def naming(self) -> str:
        """Text in the path of a request that may contain a link."""
        return f"{self.parameter}="

    def absent(self) -> Iterator[components_pb2.HeaderMatcher]:
        """Yield matchers for requests without a link. Each header match costs, so there are few."""
        yield absent(":path", self.naming)
        # A page's own calls carry an origin or a referrer, too. Only those of preview hosts matter.
        for domain in self.previews:
            yield absent("origin", f".{domain}")
            yield absent("referer", f".{domain}")

    def present(self) -> Iterable[components_pb2.HeaderMatcher]:
        """Yield matchers for requests that may contain a link or come from a preview page, and for a few others."""
        # Envoy's query matcher would parse the path of every request.
        yield contains(":path", self.naming)
        for domain in self.previews:
            host = rf"https?://[a-z0-9-]+\.{re.escape(domain)}(:[0-9]+)?"
            yield matches("origin", host)
            yield matches("referer", f"{host}([/?#].*)?")
        # An empty cookie may be followed by another one of the same name; only Lua looks further.
        yield contains("cookie", _NAMING_NOTHING)


def _is_common_value(name: str) -> bool:
    return name in COMMON_VALUES or not re.search("[a-z]", name)
