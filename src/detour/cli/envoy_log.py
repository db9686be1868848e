"""Condenses Envoy's log for people: one line for each problem.

Invariant: pure. An Envoy without its control plane logs several lines a second; here that is one line, and one more
when the control plane is back. All other warnings are kept, except those of every start and end.
"""

import re
from dataclasses import dataclass
from typing import Final

_LINE: Final = re.compile(r"\[[^\]]+\]\[\d+\]\[(?P<level>\w+)\]\[\w+\] (?:\[[^\]]*\] )?(?P<words>.*)")
_EXPECTED: Final = (
    "configured limit to the number of allowed active downstream connections",
    "caught ENVOY_SIG",
    "is marked as work-in-progress",
)
_UNREACHABLE: Final = (
    "gRPC config stream",
    "gRPC config: initial fetch timed out",
    "Unable to establish new stream to configuration server",
)
_REASONS: Final = {
    "Connection_refused": "connection refused",
    "connection_timeout": "connection timed out",
    "connection timeout": "connection timed out",
    "TLS_error": "TLS failed",
    "initial fetch timed out": "no answer",
    "No_route_to_host": "no route to host",
    "Network_is_unreachable": "the network is unreachable",
}
_LISTEN_FAILED: Final = re.compile(r"pre-worker listener init for listener '(?P<name>[^']+)' failed: (?P<why>.*)")
"""Envoy continues without a listener if another program takes its port between bind and listen."""
_IN_USE: Final = "errno=98"
_CHARACTERS_MAX: Final = 400


@dataclass(slots=True)
class EnvoyLog:
    """One Envoy's log, line by line.

    Args:
        control_plane: The control plane's address, for messages.
        is_disconnected: Whether the control plane cannot be reached.
        has_no_listener: Whether Envoy failed to listen on a port, and has to end.
    """

    control_plane: str
    is_disconnected: bool = False
    has_no_listener: bool = False
    _is_shown: bool = False

    def read(self, line: str) -> str:
        """Return what to print for a line of Envoy's log; empty if it is not new."""
        match = _LINE.match(line)
        if match is None:
            # A continuation of the line before.
            return _short(line) if self._is_shown and line.strip() else ""
        words = match["words"]
        if failure := _LISTEN_FAILED.search(words):
            self.has_no_listener = True
            why = "Address already in use" if _IN_USE in failure["why"] else failure["why"]
            return f"Envoy cannot listen for {failure['name']}: {why}"
        self._is_shown = not any(one in words for one in (*_EXPECTED, *_UNREACHABLE))
        if self._is_shown:
            return _short(f"Envoy ({match['level']}): {words}")
        if self.is_disconnected or not any(one in words for one in _UNREACHABLE):
            return ""
        self.is_disconnected = True
        reason = next((short for sign, short in _REASONS.items() if sign in words), "the connection ended")
        where = f"The control plane at {self.control_plane}"
        return f"{where} cannot be reached ({reason}); retrying until it answers"

    def reconnected(self) -> str:
        """Return what to print when the control plane answers again."""
        self.is_disconnected = False
        return f"The control plane at {self.control_plane} answers now"


def _short(text: str) -> str:
    text = text.rstrip()
    return text if len(text) <= _CHARACTERS_MAX else f"{text[:_CHARACTERS_MAX]} ..."
