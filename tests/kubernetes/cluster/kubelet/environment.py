"""A container's command line and environment, from its spec, its image, and what its values refer to.

Expansion of `$(NAME)` as `k8s.io/kubernetes/third_party/forked/golang/expansion`: unknown names stay, `$$(NAME)`
escapes.
"""

import re
from collections.abc import Mapping

from kubernetes.cluster import node

from .api import Json
from .images import Image
from .sources import ConfigError, Sources

_REFERENCE = re.compile(r"\$(?:\$|\(([^)]*)\))")
_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"


def expand(text: str, known: Mapping[str, str]) -> str:
    """Replace each `$(NAME)` that is known."""

    def value(match: re.Match[str]) -> str:
        return "$" if match[0] == "$$" else known.get(match[1], match[0])

    return _REFERENCE.sub(value, text)


def arguments(container: Json, image: Image, environment: Mapping[str, str]) -> list[str]:
    """Return the command line: `command` replaces the image's entrypoint and arguments, `args` its arguments."""
    command = container.get("command")
    args = container.get("args") or ([] if command else list(image.command))
    return [expand(word, environment) for word in [*(command or image.entrypoint), *args]]


def field_value(pod: Json, path: str, address: str) -> str:
    """Return what a `fieldRef` of the downward API refers to."""
    spec, about = pod["spec"], pod["metadata"]
    if match := re.fullmatch(r"metadata\.(labels|annotations)\['(.+)'\]", path):
        return str((about.get(match[1]) or {}).get(match[2], ""))
    known = {
        "metadata.name": about["name"],
        "metadata.namespace": about["namespace"],
        "metadata.uid": about["uid"],
        "metadata.labels": _lines(about.get("labels")),
        "metadata.annotations": _lines(about.get("annotations")),
        "spec.nodeName": spec.get("nodeName", ""),
        "spec.serviceAccountName": spec.get("serviceAccountName", ""),
        "status.podIP": address,
        "status.podIPs": address,
        "status.hostIP": node.ADDRESS,
        "status.hostIPs": node.ADDRESS,
    }
    if path not in known:
        raise ConfigError(f"unsupported fieldPath: {path}")
    return str(known[path])


def _lines(entries: Mapping[str, str] | None) -> str:
    return "\n".join(f'{key}="{value}"' for key, value in sorted((entries or {}).items()))


class Environment:
    """Where the values of one pod's containers come from."""

    def __init__(self, pod: Json, address: str, sources: Sources) -> None:
        self._pod = pod
        self._namespace = pod["metadata"]["namespace"]
        self._address = address
        self._sources = sources

    async def of(self, container: Json, image: Image, services: Mapping[str, str]) -> dict[str, str]:
        """Return a container's environment; what comes later wins: image, services, envFrom, env.

        Raises:
            ConfigError: It refers to something that there is not.
        """
        made = {"PATH": _PATH, "HOME": "/root", "HOSTNAME": self._pod["metadata"]["name"], **image.env, **services}
        for source in container.get("envFrom") or []:
            kind = "configMapRef" if "configMapRef" in source else "secretRef"
            for key, content in (await self._content(kind, source[kind])).items():
                made[source.get("prefix", "") + key] = content.decode()
        for entry in container.get("env") or []:
            value = await self._value(entry, container, made)
            if value is not None:
                made[entry["name"]] = value
        return made

    async def _value(self, entry: Json, container: Json, made: Mapping[str, str]) -> str | None:
        origin = entry.get("valueFrom")
        if not origin:
            return expand(entry.get("value", ""), made)
        if field := origin.get("fieldRef"):
            return field_value(self._pod, field["fieldPath"], self._address)
        if resource := origin.get("resourceFieldRef"):
            kind, name = resource["resource"].split(".", 1)
            return str((container.get("resources", {}).get(kind) or {}).get(name, "0"))
        kind = "configMapKeyRef" if "configMapKeyRef" in origin else "secretKeyRef"
        return await self._referred(kind, origin[kind])

    async def _referred(self, kind: str, reference: Json) -> str | None:
        found = await self._content(kind, reference)
        if reference["key"] in found:
            return found[reference["key"]].decode()
        if reference.get("optional"):
            return None
        raise ConfigError(f"couldn't find key {reference['key']} in {self._namespace}/{reference['name']}")

    async def _content(self, kind: str, reference: Json) -> dict[str, bytes]:
        read = self._sources.config_map if kind.startswith("configMap") else self._sources.secret
        return await read(self._namespace, reference["name"], reference.get("optional", False))


def service_links(services: Mapping[str, Json]) -> dict[str, str]:
    """Return the variables that name Services: `USERS_SERVICE_HOST`, `USERS_SERVICE_PORT`, `USERS_PORT`."""
    made = {}
    for name, service in services.items():
        address, ports = service["spec"].get("clusterIP", ""), service["spec"].get("ports") or []
        if address in ("", "None") or not ports:
            continue
        prefix = name.upper().replace("-", "_")
        made[f"{prefix}_SERVICE_HOST"] = address
        made[f"{prefix}_SERVICE_PORT"] = str(ports[0]["port"])
        made[f"{prefix}_PORT"] = f"{ports[0].get('protocol', 'TCP').lower()}://{address}:{ports[0]['port']}"
        for port in ports:
            if port.get("name"):
                made[f"{prefix}_SERVICE_PORT_{port['name'].upper().replace('-', '_')}"] = str(port["port"])
    return made
