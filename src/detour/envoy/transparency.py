"""What lets HTTP pass through Envoy as it is, as plain data in Envoy's JSON form.

Invariant: listeners and clusters, those of a bootstrap and those that the control plane sends, have the same
options, so that what one side of an Envoy takes in the other one sends on. docs/transparency.md lists what Envoy
changes all the same.
"""

import re
from collections.abc import Collection
from typing import Any, Final

Json = dict[str, Any]

_MANY: Final = 2**31 - 1

LIMITS: Final[Json] = {
    "thresholds": [
        {"max_connections": _MANY, "max_pending_requests": _MANY, "max_requests": _MANY, "max_retries": _MANY}
    ]
}
"""Circuit breakers that never open: without Envoy there is none."""

CONNECT_SECONDS: Final = 10
"""How long a connection may take. A server with a full backlog drops packets; their sender repeats them after 1,
3 and 7 seconds, and connects."""

_HEADERS_KB_MAX: Final = 8192
"""The most that Envoy accepts (HttpConnectionManager, `max_request_headers_kb`)."""
_HEADERS_MAX: Final = 1_000_000
"""More than fit into that."""

_CASE: Final = {
    "stateful_formatter": {
        "name": "envoy.http.stateful_header_formatters.preserve_case",
        "typed_config": {
            "@type": "type.googleapis.com/"
            "envoy.extensions.http.header_formatters.preserve_case.v3.PreserveCaseFormatterConfig",
            "forward_reason_phrase": True,
        },
    }
}
"""Names of headers and reason phrases as the other side wrote them; some HTTP/1 software compares them so."""

_RETRIES: Final = 3

SAFE_RETRIES: Final[Json] = {
    "retry_on": "connect-failure,refused-stream,reset-before-request",
    "num_retries": _RETRIES,
}
"""Retries of requests that no application has seen, whatever they are."""

_IDEMPOTENT: Final = "GET|HEAD|OPTIONS|TRACE|PUT|DELETE"
REPEATABLE: Final[Json] = {"name": ":method", "string_match": {"safe_regex": {"regex": _IDEMPOTENT}}}
"""Matches requests that may be sent again although an application may have seen them (RFC 9110, section 9.2.2)."""

RESET_RETRIES: Final[Json] = {
    "retry_on": f"{SAFE_RETRIES['retry_on']},reset",
    "num_retries": _RETRIES,
    # One after the other, because most requests need the first only.
    "retriable_request_headers": [
        {"name": ":method", "string_match": {"exact": method}} for method in _IDEMPOTENT.split("|")
    ],
}
"""Retries of requests whose connection ended before an answer began, as that of a server which finds it idle
just when Envoy sends on it. Only of those that may be repeated; of all others there is no retry at all."""

HTTP1_UPSTREAM: Final[Json] = {"enable_trailers": True, "header_key_format": _CASE}
HTTP2_UPSTREAM: Final[Json] = {
    "allow_connect": True,
    # The least that common servers allow; more go on another connection. A server resets what comes above its limit
    # before Envoy knows that, unlike clients, which wait until it has told them.
    "max_concurrent_streams": 100,
}
COMMON_UPSTREAM: Final[Json] = {
    "max_headers_count": _HEADERS_MAX,
    "max_response_headers_kb": _HEADERS_KB_MAX,
    # Less than any common server waits before it closes an idle connection; gunicorn's 2 s are the least.
    "idle_timeout": "1.5s",
}

UPGRADES: Final = ("websocket", "tcp", "spdy/3.1")
"""What a connection may turn into: Docker's API uses the second, Kubernetes' the third. Envoy knows no wildcard."""


def _other_than(words: Collection[str]) -> list[Json]:
    """Match every text but these words, none of which begins like another.

    RE2 can't negate, and Envoy refuses a long pattern: so one for each word, and one for other beginnings.
    """
    others = "".join(word[0] for word in words)
    patterns = [f"[^{others}].*", *(f"{word[0]}{_not(word[1:])}" for word in words)]
    return [{"safe_regex": {"regex": f"(?i){pattern}"}} for pattern in patterns]


def _not(word: str) -> str:
    first = re.escape(word[0])
    return f"(?:{first}{_not(word[1:]) if word[1:] else '.+'}|[^{first}].*)?"


COMMON_DOWNSTREAM: Final[Json] = {"max_headers_count": _HEADERS_MAX}

LASTING: Final[Json] = {"common_http_protocol_options": {**COMMON_DOWNSTREAM, "idle_timeout": "0s"}}
"""Options in whose place there may be those of a listener for clients of the same machine, whose kernel says when
they end: idle connections stay. A timer would be set and taken back for each request."""

DOWNSTREAM: Final[Json] = {
    "upgrade_configs": [{"upgrade_type": name} for name in UPGRADES],
    "max_request_headers_kb": _HEADERS_KB_MAX,
    "common_http_protocol_options": COMMON_DOWNSTREAM,
    "proxy_100_continue": True,
    "http_protocol_options": {
        "accept_http_10": True,
        "default_host_for_http_10": "localhost",
        "enable_trailers": True,
        "header_key_format": _CASE,
        "allow_custom_methods": True,
        "allow_chunked_length": True,
        "ignore_http_11_upgrade": _other_than(UPGRADES),
    },
    "http2_protocol_options": {"allow_connect": True, "max_concurrent_streams": _MANY},
}
"""The options of a connection manager."""

RUNTIME: Final[Json] = {
    # A path with a fragment loses it, rather than being refused.
    "envoy.reloadable_features.http_reject_path_with_fragment": False,
}
"""The runtime settings that no option has in their place."""
