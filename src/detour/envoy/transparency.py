"""Options that let HTTP pass through Envoy unchanged, as plain data in Envoy's JSON form.

Invariant: listeners and clusters have the same options, whether they come from a bootstrap or from the control
plane, so that whatever Envoy accepts on one side it can send on the other. docs/transparency.md lists what Envoy
changes nevertheless.
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
"""Circuit breakers that never open, because without Envoy there would be none."""

CONNECT_SECONDS: Final = 10
"""Connect timeout in seconds. A server with a full backlog drops packets; clients resend them after 1, 3 and 7
seconds, and then connect."""

_HEADERS_KB_MAX: Final = 8192
"""Envoy's maximum (HttpConnectionManager, `max_request_headers_kb`)."""
_HEADERS_MAX: Final = 1_000_000
"""More headers than fit into that size."""

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
"""Keep the case of header names and the reason phrases of the other side; some HTTP/1 software depends on it."""

_RETRIES: Final = 3

SAFE_RETRIES: Final[Json] = {
    "retry_on": "connect-failure,refused-stream,reset-before-request",
    "num_retries": _RETRIES,
}
"""Retries of requests that no application has received, whatever their method."""

_IDEMPOTENT: Final = "GET|HEAD|OPTIONS|TRACE|PUT|DELETE"
REPEATABLE: Final[Json] = {"name": ":method", "string_match": {"safe_regex": {"regex": _IDEMPOTENT}}}
"""Matches requests that may be repeated even if an application has received them (RFC 9110, section 9.2.2)."""

RESET_RETRIES: Final[Json] = {
    "retry_on": f"{SAFE_RETRIES['retry_on']},reset",
    "num_retries": _RETRIES,
    # Nested, because for most requests the first condition decides.
    "retriable_request_headers": [
        {"name": ":method", "string_match": {"exact": method}} for method in _IDEMPOTENT.split("|")
    ],
}
"""Retries of requests whose connection was reset before the response started. A server that closes an idle
connection just when Envoy sends a request causes this. Only repeatable requests are retried."""

HTTP1_UPSTREAM: Final[Json] = {"enable_trailers": True, "header_key_format": _CASE}
HTTP2_UPSTREAM: Final[Json] = {
    "allow_connect": True,
    # The lowest limit of common servers; further requests use another connection. Servers reset streams above their
    # limit before Envoy knows that limit, unlike clients, which wait for the server's settings.
    "max_concurrent_streams": 100,
}
COMMON_UPSTREAM: Final[Json] = {
    "max_headers_count": _HEADERS_MAX,
    "max_response_headers_kb": _HEADERS_KB_MAX,
    # Less than any common server keeps an idle connection; gunicorn's 2 s are the shortest.
    "idle_timeout": "1.5s",
}

UPGRADES: Final = ("websocket", "tcp", "spdy/3.1")
"""Protocols that a connection may upgrade to. Docker uses the second, Kubernetes the third; Envoy has no
wildcard."""


def _other_than(words: Collection[str]) -> list[Json]:
    """Match every text except these words. No two of them may start with the same letter.

    RE2 cannot negate, and Envoy rejects long patterns: so there is one per word, and one for all other first
    letters.
    """
    others = "".join(word[0] for word in words)
    patterns = [f"[^{others}].*", *(f"{word[0]}{_not(word[1:])}" for word in words)]
    return [{"safe_regex": {"regex": f"(?i){pattern}"}} for pattern in patterns]


def _not(word: str) -> str:
    first = re.escape(word[0])
    return f"(?:{first}{_not(word[1:]) if word[1:] else '.+'}|[^{first}].*)?"


COMMON_DOWNSTREAM: Final[Json] = {"max_headers_count": _HEADERS_MAX}

LASTING: Final[Json] = {"common_http_protocol_options": {**COMMON_DOWNSTREAM, "idle_timeout": "0s"}}
"""Options without an idle timeout, for listeners whose clients run on the same machine: the kernel reports when
they end. A timer would be set and cancelled for each request."""

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
    # A path with a fragment loses the fragment instead of being rejected.
    "envoy.reloadable_features.http_reject_path_with_fragment": False,
}
"""Settings that only the runtime has."""
