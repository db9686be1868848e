"""A client of a running Envoy's admin interface.

Invariant: an Envoy that does not answer causes an OSError within bounded time. Nothing here starts or stops an
Envoy.
"""

import asyncio
import socket
from dataclasses import dataclass
from http.client import HTTPConnection, HTTPException
from typing import Any, Final

_TIMEOUT_SECONDS: Final = 5


@dataclass(frozen=True, slots=True)
class Admin:
    """The address of an Envoy's admin interface.

    Args:
        path: Its Unix socket in Envoy's notation; a leading `@` means an abstract socket.
        address: Its `(host, port)`, if it has no such socket.
    """

    path: str = ""
    address: tuple[str, int] = ("127.0.0.1", 0)

    @staticmethod
    def of(bootstrap: dict[str, Any]) -> "Admin":
        """Return the admin address of an Envoy with this bootstrap."""
        at = bootstrap["admin"]["address"]
        if "pipe" in at:
            return Admin(at["pipe"]["path"])
        return Admin(address=(at["socket_address"]["address"], at["socket_address"]["port_value"]))

    async def request(self, path: str, method: str = "GET") -> tuple[int, str]:
        """Send a request; return the status and the body of the response.

        Raises:
            OSError: No response arrived within 5 seconds.
        """
        return await asyncio.to_thread(self._response, path, method)

    async def stats(self, pattern: str) -> dict[str, int]:
        """Return the counters and gauges whose names contain a match of a regular expression.

        Raises:
            OSError: No response arrived.
        """
        _, body = await self.request(f"/stats?filter={pattern}")
        read = (line.rpartition(": ") for line in body.splitlines())
        return {name: int(value) for name, _, value in read if value.isdigit()}

    def _response(self, path: str, method: str) -> tuple[int, str]:
        connection = _Connection(self)
        try:
            connection.request(method, path)
            answer = connection.getresponse()
            return answer.status, answer.read().decode(errors="replace")
        except HTTPException as error:
            raise ConnectionError(f"Envoy's admin interface closed the connection early: {error!r}") from error
        finally:
            connection.close()


class _Connection(HTTPConnection):
    def __init__(self, at: Admin) -> None:
        super().__init__(*at.address, timeout=_TIMEOUT_SECONDS)
        self._path = f"\0{at.path[1:]}" if at.path.startswith("@") else at.path

    def connect(self) -> None:
        if not self._path:
            super().connect()
            return
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(_TIMEOUT_SECONDS)
        self.sock.connect(self._path)
