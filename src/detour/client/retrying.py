"""When a request is sent again. No I/O.

Invariant: only a safe request is sent again, after a failed connection or an answer that says "not now". A request
that may have changed something is never repeated: its first answer may only have got lost.
"""

from dataclasses import dataclass
from http import HTTPStatus
from typing import Any, Final

import httpx

from detour.client.errors import UntrustedServerError
from detour.client.operations import Operation

_TRANSIENT: Final = frozenset(
    {
        HTTPStatus.TOO_MANY_REQUESTS,
        HTTPStatus.BAD_GATEWAY,
        HTTPStatus.SERVICE_UNAVAILABLE,
        HTTPStatus.GATEWAY_TIMEOUT,
    }
)
_LONGEST_SECONDS: Final = 5.0


@dataclass(frozen=True, slots=True)
class Retries:
    """How often, and how soon.

    Args:
        most: How many times a safe request is sent again.
        first_seconds: The pause before the first time; each later one is twice as long.
    """

    most: int = 2
    first_seconds: float = 0.1

    def after_failure(self, operation: Operation[Any], sent: int, error: Exception) -> float | None:
        """Return the pause in seconds before a request is sent again; None if the failure stands.

        Args:
            operation: What failed.
            sent: How many times it was sent.
            error: Why it failed.
        """
        # A certificate does not become trusted by waiting.
        is_final = isinstance(error, UntrustedServerError) or not operation.is_safe or sent > self.most
        return None if is_final else self.pause(sent)

    def after_answer(self, operation: Operation[Any], sent: int, response: httpx.Response) -> float | None:
        """Return the pause in seconds before a request is sent again; None if the answer stands."""
        if response.status_code not in _TRANSIENT or not operation.is_safe or sent > self.most:
            return None
        wanted = response.headers.get("retry-after", "")
        return min(float(wanted), _LONGEST_SECONDS) if wanted.isdecimal() else self.pause(sent)

    def pause(self, sent: int) -> float:
        """Return the pause in seconds after a request was sent so many times."""
        return min(self.first_seconds * 2.0 ** (sent - 1), _LONGEST_SECONDS)
