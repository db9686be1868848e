"""What pods take their configuration from: ConfigMaps, Secrets and accounts' tokens, read fresh each time."""

import base64

import httpx

from .api import Api, ApiError, Json


class ConfigError(RuntimeError):
    """A pod refers to something that there is not; the message says to what."""


class Sources:
    """Reads of the API server."""

    def __init__(self, api: Api) -> None:
        self._api = api

    async def config_map(self, namespace: str, name: str, optional: bool) -> dict[str, bytes]:
        """Return a ConfigMap's content.

        Raises:
            ConfigError: There is none, and it is not optional.
        """
        found = await self._read("configmaps", namespace, name, optional)
        text = {key: value.encode() for key, value in (found.get("data") or {}).items()}
        return text | _decoded(found.get("binaryData"))

    async def secret(self, namespace: str, name: str, optional: bool) -> dict[str, bytes]:
        """Return a Secret's content.

        Raises:
            ConfigError: There is none, and it is not optional.
        """
        return _decoded((await self._read("secrets", namespace, name, optional)).get("data"))

    async def pull_secrets(self, pod: Json) -> list[Json]:
        """Return the Secrets that the pod names for pulls; one that there is not is left out, as kubelet does."""
        namespace = pod["metadata"]["namespace"]
        names = [entry["name"] for entry in pod["spec"].get("imagePullSecrets") or []]
        return [await self._read("secrets", namespace, name, True) for name in names]

    async def token(self, pod: Json, audience: str | None, seconds: int) -> bytes:
        """Return a token of the pod's service account, bound to the pod.

        Raises:
            ConfigError: The API server gave none.
        """
        about = pod["metadata"]
        bound = {"apiVersion": "v1", "kind": "Pod", "name": about["name"], "uid": about["uid"]}
        spec: Json = {
            "expirationSeconds": seconds,
            "boundObjectRef": bound,
            "audiences": [audience] if audience else [],
        }
        account = pod["spec"].get("serviceAccountName", "default")
        path = f"/api/v1/namespaces/{about['namespace']}/serviceaccounts/{account}/token"
        try:
            made = await self._api.post(
                path, {"apiVersion": "authentication.k8s.io/v1", "kind": "TokenRequest", "spec": spec}
            )
        except (ApiError, httpx.HTTPError) as error:
            raise ConfigError(f"failed to fetch token: {error}") from error
        return str(made["status"]["token"]).encode()

    async def _read(self, kind: str, namespace: str, name: str, optional: bool) -> Json:
        try:
            return await self._api.get(f"/api/v1/namespaces/{namespace}/{kind}/{name}")
        except ApiError as error:
            if error.code == 404 and optional:
                return {}
            raise ConfigError(str(error).split(": ", 1)[1]) from error
        except httpx.HTTPError as error:
            raise ConfigError(f"cannot read {kind} {namespace}/{name}: {error!r}") from error


def _decoded(content: dict[str, str] | None) -> dict[str, bytes]:
    return {key: base64.b64decode(value) for key, value in (content or {}).items()}
