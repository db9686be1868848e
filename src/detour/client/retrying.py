"""When to retry a request. No I/O.

Invariant: only safe requests are retried, after a failed connection or a response with a transient status. Other
requests are never retried: the first one may have taken effect although its response was lost.
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
    """How often to retry, and after which pauses.

    Args:
        most: Maximum number of retries of a safe request.
        first_seconds: The pause before the first retry; it doubles with each further one.
    """

    most: int = 2
    first_seconds: float = 0.1

    def after_failure(self, operation: Operation[Any], sent: int, error: Exception) -> float | None:
        """Return the pause in seconds before the next retry; None to give up.

        Args:
            operation: The operation that failed.
            sent: How many times it was sent.
            error: The failure.
        """
        # Waiting does not make a certificate trusted.
        is_final = isinstance(error, UntrustedServerError) or not operation.is_safe or sent > self.most
        return None if is_final else self.pause(sent)

    def after_answer(self, operation: Operation[Any], sent: int, response: httpx.Response) -> float | None:
        """Return the pause in seconds before the next retry; None to accept the response."""
        if response.status_code not in _TRANSIENT or not operation.is_safe or sent > self.most:
            return None
        wanted = response.headers.get("retry-after", "")
        return min(float(wanted), _LONGEST_SECONDS) if wanted.isdecimal() else self.pause(sent)

    def pause(self, sent: int) -> float:
        """Return the pause in seconds after a request was sent `sent` times."""
        return min(self.first_seconds * 2.0 ** (sent - 1), _LONGEST_SECONDS)
