"""Pages that an edge shows to people where a scenario can't be entered."""

from html import escape
from typing import Final

from envoy.config.core.v3 import base_pb2
from envoy.config.core.v3 import substitution_format_string_pb2 as format_pb2
from envoy.config.route.v3 import route_components_pb2 as components_pb2

from detour.xds.route_parts import ANY_PATH, setting

_PAGE: Final = """\
<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{title}</title>
<style>
  :root {{ color-scheme: light dark; font: 1rem/1.5 system-ui, sans-serif }}
  main {{ max-width: 34rem; margin: 15vh auto; padding: 0 1rem }}
  a {{ color: inherit }}
</style>
<main>
<h1>{title}</h1>
<p>{words}</p>
<p><a href="?detour=">Go on without it</a>: you then see what everybody sees.</p>
</main>
"""


def ended_page(name: str, what: str) -> components_pb2.Route:
    """Return the route of requests to a scenario whose time is over.

    Args:
        name: Which.
        what: What became of it: "expired at ...".
    """
    words = f"{escape(what)}. Whoever sent you here can make it anew, or extend it."
    return _page(410, f"The scenario {escape(name)} is over", f"It {words}")


def unknown_page(*headers: components_pb2.HeaderMatcher) -> components_pb2.Route:
    """Return the route of requests to a scenario that never was."""
    words = "There is none of that name, or it ended long ago. Perhaps the link was cut off?"
    return _page(404, "There is no such scenario", words, *headers)


def _page(status: int, title: str, words: str, *headers: components_pb2.HeaderMatcher) -> components_pb2.Route:
    # Percent signs are command operators there.
    text = _PAGE.format(title=title, words=words).replace("%", "%%")
    made = components_pb2.Route(
        match=components_pb2.RouteMatch(prefix=ANY_PATH, headers=headers),
        direct_response=components_pb2.DirectResponseAction(
            status=status,
            body_format=format_pb2.SubstitutionFormatString(
                text_format_source=base_pb2.DataSource(inline_string=text), content_type="text/html; charset=utf-8"
            ),
        ),
    )
    made.response_headers_to_add.append(setting("cache-control", "no-store"))
    return made
