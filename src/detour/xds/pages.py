"""What an edge shows to people: pages where a scenario can't be entered, and a badge on pages in one."""

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

_STYLE_PATH: Final = "/.detour/badge.css"
"""A file of its own, because many a page forbids styles that stand in it (Content-Security-Policy)."""

_STYLE: Final = """\
.detour-badge {
  all: revert; position: fixed; z-index: 2147483647; left: 1rem; bottom: 1rem; display: flex; gap: .75rem;
  align-items: center; padding: .4rem .75rem; border-radius: .5rem; background: #1b1f24; color: #fff;
  font: 14px/1.4 system-ui, sans-serif; box-shadow: 0 2px 8px #0006;
}
.detour-badge a { all: revert; color: #9cf }
.detour-badge label { all: revert; cursor: pointer; padding: 0 .25rem }
.detour-badge input { all: revert; position: absolute; opacity: 0 }
.detour-badge input:focus-visible + label { outline: 2px solid #9cf }
.detour-badge:has(input:checked) { display: none }
@media print { .detour-badge { display: none } }
"""

_BADGE: Final = (
    f'<link rel="stylesheet" href="{_STYLE_PATH}">'
    '<aside class="detour-badge" aria-label="Detour">In the scenario {name} <a href="?detour=">leave</a>'
    '<input type="checkbox" id="detour-badge-hidden" aria-label="hide this badge">'
    '<label for="detour-badge-hidden" aria-hidden="true" title="hide">&times;</label></aside>'
)


def badge_of(scenario: str) -> str:
    """Return the badge of pages in a scenario: it names it, leads out of it, and can be hidden."""
    return _BADGE.format(name=f"<b>{escape(scenario)}</b>")


def badge_style() -> components_pb2.Route:
    """Return the route of the badge's style sheet."""
    made = components_pb2.Route(
        match=components_pb2.RouteMatch(path=_STYLE_PATH),
        direct_response=components_pb2.DirectResponseAction(
            status=200,
            body_format=format_pb2.SubstitutionFormatString(
                text_format_source=base_pb2.DataSource(inline_string=_STYLE.replace("%", "%%")),
                content_type="text/css; charset=utf-8",
            ),
        ),
    )
    made.response_headers_to_add.append(setting("cache-control", "max-age=3600"))
    return made


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
