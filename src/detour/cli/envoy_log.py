"""What Envoy logs, as a person wants to read it: what is wrong, once, in a line.

Invariant: pure. An Envoy without its control plane logs several lines a second; here that is one line, and one more
when it is back. Nothing else that Envoy warns of is lost, except what it says of every start and every end.
"""

import re
from dataclasses import dataclass
from typing import Final

_LINE: Final = re.compile(r"\[[^\]]+\]\[\d+\]\[(?P<level>\w+)\]\[\w+\] (?:\[[^\]]*\] )?(?P<words>.*)")
_OF_EVERY_ENVOY: Final = (
    "There is no configured limit to the number of allowed active downstream connections",
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
    "initial fetch timed out": "it does not answer",
    "No_route_to_host": "no route to host",
    "Network_is_unreachable": "the network is unreachable",
}
_DEAF: Final = re.compile(r"pre-worker listener init for listener '(?P<name>[^']+)' failed: (?P<why>.*)")
"""Envoy goes on without a listener whose port another program has taken between its binding it and listening."""
_IN_USE: Final = "errno=98"
_CHARACTERS_MAX: Final = 400


@dataclass(slots=True)
class EnvoyLog:
    """One Envoy's log, line by line.

    Args:
        control_plane: Its address, for people.
        is_away: Whether the last that was heard is that it cannot be reached.
        is_deaf: Whether Envoy cannot listen where it should: it is of no use.
    """

    control_plane: str
    is_away: bool = False
    is_deaf: bool = False
    _is_shown: bool = False

    def read(self, line: str) -> str:
        """Return what to print for a line of Envoy's; nothing if it says nothing new."""
        match = _LINE.match(line)
        if match is None:
            # A further line of the one before.
            return _short(line) if self._is_shown and line.strip() else ""
        words = match["words"]
        if deaf := _DEAF.search(words):
            self.is_deaf = True
            why = "Address already in use" if _IN_USE in deaf["why"] else deaf["why"]
            return f"Envoy cannot listen for {deaf['name']}: {why}"
        self._is_shown = not any(one in words for one in (*_OF_EVERY_ENVOY, *_UNREACHABLE))
        if self._is_shown:
            return _short(f"Envoy ({match['level']}): {words}")
        if self.is_away or not any(one in words for one in _UNREACHABLE):
            return ""
        self.is_away = True
        reason = next((said for sign, said in _REASONS.items() if sign in words), "the connection ended")
        where = f"The control plane at {self.control_plane}"
        return f"{where} cannot be reached ({reason}); trying again until it answers"

    def back(self) -> str:
        """Return what to print when the control plane answers again."""
        self.is_away = False
        return f"The control plane at {self.control_plane} answers now"


def _short(text: str) -> str:
    text = text.rstrip()
    return text if len(text) <= _CHARACTERS_MAX else f"{text[:_CHARACTERS_MAX]} ..."
