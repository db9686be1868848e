"""Pages that an edge shows to people: errors for scenarios that cannot be entered, and the scenario badge."""

import json
from dataclasses import dataclass
from html import escape
from http import HTTPStatus
from typing import Final

from envoy.config.core.v3 import base_pb2
from envoy.config.core.v3 import substitution_format_string_pb2 as format_pb2
from envoy.config.route.v3 import route_components_pb2 as components_pb2

from detour.envoy.vocabulary import PAGE, SCENARIO_COOKIE
from detour.xds.route_parts import ANY_PATH, contains, matches, setting

_GRPC_NOT_FOUND: Final = "5"

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
<p><a href="{leaving}">Continue without the scenario</a> to see the standard version.</p>
</main>
"""

_STYLE_PATH: Final = "/.detour/badge.css"
"""A separate file, because many pages forbid inline styles (Content-Security-Policy)."""

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
    '<aside class="detour-badge" aria-label="Detour">In the scenario {name} <a href="?{parameter}=">leave</a>'
    '<input type="checkbox" id="detour-badge-hidden" aria-label="hide this badge">'
    '<label for="detour-badge-hidden" aria-hidden="true" title="hide">&times;</label></aside>'
)


def badge_of(scenario: str, parameter: str) -> str:
    """Return the badge of pages in a scenario: it shows the name, links out of it, and can be hidden."""
    return _BADGE.format(name=f"<b>{escape(scenario)}</b>", parameter=parameter)


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


def ended_pages(name: str, what: str, parameter: str) -> list[components_pb2.Route]:
    """Return the routes of requests to a scenario that has ended.

    Args:
        name: The scenario's name.
        what: How it ended: "expired at ...".
        parameter: The query parameter of links into scenarios.
    """
    words = f"It {what}. Ask the person who sent you the link to create it again, or to extend it."
    return _Page(410, f"The scenario {name} has ended", words).routes(parameter)


def unknown_pages(parameter: str) -> list[components_pb2.Route]:
    """Return the routes of requests to an unknown scenario; the last one matches any client."""
    words = (
        "No scenario has this name, or it ended long ago. Check that the link is complete. If the application "
        f"itself uses a parameter {parameter}, choose another one for links with edge.parameter in the mesh file. "
        f"If it uses a cookie {SCENARIO_COOKIE} with such values, rename that cookie."
    )
    return _Page(404, "Unknown scenario", words).routes(parameter)


def no_cookie_pages(parameter: str) -> list[components_pb2.Route]:
    """Return the routes of browsers that received a scenario cookie and came back without it."""
    words = (
        "Scenarios on this host need a cookie, and your browser did not send it back: it may block all cookies, "
        "or those of pages in frames. Allow cookies for this site, or open the link in a separate window. "
        "Preview hosts (edge.previews in the mesh file) need no cookie."
    )
    return _Page(403, "The scenario cannot be entered", words).routes(parameter)


@dataclass(frozen=True, slots=True)
class _Page:
    """An error for people and programs."""

    status: int
    title: str
    words: str

    def routes(self, parameter: str) -> list[components_pb2.Route]:
        """Return one route for each content type that a client may accept; the last one matches any client."""
        grpc = self._answer(
            "text/plain", f"{self.title}. {self.words}", matches("content-type", "application/grpc.*")
        )
        grpc.response_headers_to_add.append(setting("grpc-status", _GRPC_NOT_FOUND))
        takes_pages = contains("accept", "text/html")
        takes_data = matches("accept", r".*application/([a-z.-]+\+)?json.*")
        return [
            grpc,
            self._answer("text/html; charset=utf-8", self._html(parameter), takes_pages),
            self._answer("application/problem+json", self._json(), takes_data),
            self._answer("text/plain; charset=utf-8", f"Detour: {self.title}. {self.words}\n"),
        ]

    def _html(self, parameter: str) -> str:
        title, words = escape(self.title), escape(self.words)
        return _PAGE.format(title=title, words=words, leaving=f"?{parameter}=")

    def _json(self) -> str:
        # RFC 9457, section 4.2.1: with the type about:blank, the title is the status's standard phrase.
        title, detail = HTTPStatus(self.status).phrase, f"{self.title}. {self.words}"
        problem = {"type": "about:blank", "title": title, "status": self.status, "detail": detail}
        return json.dumps(problem)

    def _answer(self, kind: str, text: str, *headers: components_pb2.HeaderMatcher) -> components_pb2.Route:
        made = components_pb2.Route(
            name=PAGE,
            match=components_pb2.RouteMatch(prefix=ANY_PATH, headers=headers),
            direct_response=components_pb2.DirectResponseAction(
                status=self.status,
                body_format=format_pb2.SubstitutionFormatString(
                    # In a format string, percent signs are command operators.
                    text_format_source=base_pb2.DataSource(inline_string=text.replace("%", "%%")),
                    content_type=kind,
                ),
            ),
        )
        made.response_headers_to_add.append(setting("cache-control", "no-store"))
        return made
