"""A pod's volumes: folders of its own in memory, filled from the API and kept up to date.

What comes from the API is written as the real kubelet does (`pkg/volume/util/atomic_writer.go`): each version in a
folder of its own, and `..data` moved over to it at once, so that a reader sees all of one version or all of the
next.
"""

import os
import shutil
from collections.abc import Mapping
from itertools import count
from pathlib import Path
from typing import Any

from .api import Json
from .environment import field_value
from .sources import ConfigError, Sources

_versions = count(1)
Files = dict[str, tuple[bytes, int]]  # path in the volume: content and mode


class Volumes:
    """The volumes of one pod, below `folder`."""

    def __init__(self, pod: Json, folder: Path, sources: Sources) -> None:
        self._pod = pod
        self._folder = folder
        self._sources = sources
        self._tokens: dict[str, bytes] = {}

    async def make(self, address: str) -> None:
        """Make them all.

        Raises:
            ConfigError: One refers to something that there is not, or is of a kind that this kubelet does not have.
        """
        for volume in self._pod["spec"].get("volumes") or []:
            await self._make(volume, address)

    async def update(self, pod: Json, address: str, kind: str, name: str) -> None:
        """Write those anew that have something of what changed: a `configMap`, a `secret` or the `pod`."""
        self._pod = pod
        for volume in pod["spec"].get("volumes") or []:
            if (kind, name) in _references(volume):
                await self._make(volume, address)

    def mounts(self, container: Json) -> list[dict[str, Any]]:
        """Return what the runtime mounts for a container."""
        return [self._mount(entry) for entry in container.get("volumeMounts") or []]

    def _mount(self, entry: Json) -> dict[str, Any]:
        volume = next(each for each in self._pod["spec"]["volumes"] if each["name"] == entry["name"])
        host = volume.get("hostPath")
        source = Path(host["path"]) if host else self._folder / entry["name"]
        if entry.get("subPath"):
            source = (source / entry["subPath"]).resolve()
            if not source.exists():
                source.mkdir(parents=True)
        return {
            "source": str(source),
            "target": entry["mountPath"].rstrip("/"),
            "read_only": entry.get("readOnly", False),
        }

    async def _make(self, volume: Json, address: str) -> None:
        place = self._folder / volume["name"]
        if "emptyDir" in volume:
            place.mkdir(parents=True, exist_ok=True)
            place.chmod(0o777)
            self._give_group(place)
        elif "hostPath" not in volume:
            files = await self._files(volume, address)
            write_atomically(place, files)

    def _give_group(self, place: Path) -> None:
        group = (self._pod["spec"].get("securityContext") or {}).get("fsGroup")
        if group is not None:
            os.chown(place, -1, group)
            place.chmod(0o2777)

    async def _files(self, volume: Json, address: str) -> Files:
        if "projected" in volume:
            files: Files = {}
            projected = volume["projected"]
            for source in projected.get("sources") or []:
                kind = next(iter(source))
                files |= await self._source(kind, source[kind], projected.get("defaultMode", 0o644), address)
            return files
        for kind in ("configMap", "secret", "downwardAPI"):
            if kind in volume:
                content = volume[kind]
                named = {"name": content.get("secretName", content.get("name")), **content}
                return await self._source(kind, named, content.get("defaultMode", 0o644), address)
        raise ConfigError(
            f"volume {volume['name']} is of a kind that the test kubelet does not have: {sorted(volume)}"
        )

    async def _source(self, kind: str, content: Json, mode: int, address: str) -> Files:
        if kind == "serviceAccountToken":
            return {content["path"]: (await self._token(content), mode)}
        if kind == "downwardAPI":
            items = content.get("items") or []
            return {each["path"]: (self._field(each, address), each.get("mode", mode)) for each in items}
        namespace, optional = self._pod["metadata"]["namespace"], content.get("optional", False)
        read = self._sources.config_map if kind == "configMap" else self._sources.secret
        return _chosen(content, await read(namespace, content["name"], optional), mode)

    def _field(self, item: Json, address: str) -> bytes:
        if "fieldRef" not in item:
            raise ConfigError(f"downwardAPI item {item['path']} has no fieldRef")
        return field_value(self._pod, item["fieldRef"]["fieldPath"], address).encode()

    async def _token(self, content: Json) -> bytes:
        audience = content.get("audience", "")
        if audience not in self._tokens:
            seconds = int(content.get("expirationSeconds", 3600))
            self._tokens[audience] = await self._sources.token(self._pod, audience or None, seconds)
        return self._tokens[audience]


def _chosen(content: Json, found: Mapping[str, bytes], mode: int) -> Files:
    items = content.get("items")
    if items is None:
        return {key: (value, mode) for key, value in found.items()}
    missing = [each["key"] for each in items if each["key"] not in found]
    if missing and not content.get("optional"):
        raise ConfigError(f"references non-existent config key: {missing[0]} of {content['name']}")
    return {each["path"]: (found[each["key"]], each.get("mode", mode)) for each in items if each["key"] in found}


def _references(volume: Json) -> set[tuple[str, str]]:
    projected = (volume.get("projected") or {}).get("sources") or []
    found = set()
    for source in [volume, *projected]:
        for kind in ("configMap", "secret"):
            if kind in source:
                found.add((kind, source[kind].get("secretName", source[kind].get("name"))))
        if "downwardAPI" in source:
            found.add(("pod", ""))
    return found


def write_atomically(place: Path, files: Files) -> None:
    """Make a volume's folder hold exactly these files, moving readers over at once."""
    place.mkdir(parents=True, exist_ok=True)
    version = place / f"..{next(_versions)}"
    for path, (content, mode) in files.items():
        file = version / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(content)
        file.chmod(mode)
    version.mkdir(exist_ok=True)
    data, moved = place / "..data", place / "..data_tmp"
    before = data.resolve() if data.is_symlink() else None
    moved.symlink_to(version.name)
    moved.replace(data)
    _link(place, {path.split("/", maxsplit=1)[0] for path in files})
    if before is not None:
        shutil.rmtree(before)


def _link(place: Path, names: set[str]) -> None:
    for entry in place.iterdir():
        if not entry.name.startswith("..") and entry.name not in names:
            entry.unlink()
    for name in names:
        if not (place / name).is_symlink():
            (place / name).symlink_to(f"..data/{name}")
