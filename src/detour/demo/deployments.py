"""Registering and removing offloaded deployments at the server's API, as a developer's pipeline would."""

from collections.abc import Iterable, Mapping

import httpx

from detour.demo.topology import Registration

_OWNER = "detour demo"
_TIME_TO_LIVE = "24h"


class Deployments:
    """The deployments of a running server.

    Args:
        http: A client whose base URL is the API's.
    """

    def __init__(self, http: httpx.AsyncClient) -> None:
        self._http = http

    async def register(self, registration: Registration, endpoints: Iterable[str]) -> None:
        """Register a deployment with these endpoints (`ip:port`).

        Raises:
            RuntimeError: The server refused, or did not answer.
        """
        body = {
            "service": registration.service,
            "name": registration.deployment,
            "endpoints": list(endpoints),
            "owner": _OWNER,
            "ttl": _TIME_TO_LIVE,
        }
        await self._request("POST", "/v1/deployments", body)

    async def remove(self, registration: Registration) -> None:
        """Remove a deployment.

        Raises:
            RuntimeError: The server refused, or did not answer.
        """
        await self._request("DELETE", f"/v1/deployments/{registration.service}/{registration.deployment}")

    async def _request(self, method: str, path: str, body: Mapping[str, object] | None = None) -> None:
        try:
            response = await self._http.request(method, path, json=body)
        except httpx.HTTPError as error:
            raise RuntimeError(f"the server did not answer {method} {path}: {error!r}") from error
        if not response.is_success:
            raise RuntimeError(f"the server answered {response.status_code} to {method} {path}: {response.text}")
