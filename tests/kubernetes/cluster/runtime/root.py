"""A container's own file system: the machine's, with all changes kept apart in memory, and its volumes mounted.

Invariant: nothing that a container writes, outside its volumes, is seen by another one or by the machine.
"""

import os
from pathlib import Path
from typing import Any

import linux

_DEVICES = ("null", "zero", "full", "random", "urandom", "tty")
_MADE_HERE = ("/proc", "/sys", "/dev")


def build(order: "dict[str, Any]") -> None:
    """Make the root of a container in the folder `root` of its order, and change into it.

    The folder lies in memory, not on the machine's own root; the caller is alone in its mount namespace, and the
    first process of its PID namespace. `mounts` have `source`, `target` and `read_only`; what is `reachable` is so
    for every user, since Python may lie in a home folder.
    """
    folder = Path(order["root"])
    place, upper, work = (folder / name for name in ("root", "upper", "work"))
    for path in (place, upper, work):
        path.mkdir(parents=True)
    own = [{"source": path, "target": path, "read_only": False} for path in _mount_points(order["root"])]
    entries = [*own, *sorted(order["mounts"], key=lambda entry: str(entry["target"]))]
    opened = [os.open(entry["source"], os.O_PATH | os.O_CLOEXEC) for entry in entries]
    linux.mount("overlay", str(place), "overlay", 0, f"lowerdir=/,upperdir={upper},workdir={work}")
    _system(place, order["privileged"])
    # From here on a symbolic link, such as /var/run, leads to a place inside.
    os.chroot(place)
    os.chdir("/")
    for entry, source in zip(entries, opened, strict=True):
        _bind(Path(f"/proc/self/fd/{source}"), Path(entry["target"]), entry["read_only"])
        os.close(source)
    for path in order["reachable"]:
        _open_way(Path(path))
    if order["read_only"]:
        linux.mount("", "/", flags=linux.MS_REMOUNT | linux.MS_BIND | linux.MS_RDONLY)


def _open_way(path: Path) -> None:
    for folder in path.parents:
        mode = folder.stat().st_mode
        # Whoever has no other group is in root's.
        if mode & 0o011 != 0o011:
            folder.chmod((mode & 0o7777) | 0o011)


def _mount_points(folder: str) -> "list[str]":
    """Return the topmost places where the machine has something else mounted on its root."""
    lines = Path("/proc/self/mountinfo").read_text(encoding="utf-8").splitlines()
    chosen: list[str] = []
    for point in sorted({line.split()[4] for line in lines}):
        hidden = point == "/" or folder.startswith(point + "/") or point.startswith(_MADE_HERE)
        if not hidden and not any(point.startswith(above + "/") for above in chosen):
            chosen.append(point)
    return [point for point in chosen if Path(point).exists()]


def _bind(source: Path, target: Path, read_only: bool = False) -> None:
    if source.is_dir():
        target.mkdir(parents=True, exist_ok=True)
    elif not target.exists():
        target.parent.mkdir(parents=True, exist_ok=True)
        target.touch()
    linux.bind(str(source), str(target), read_only)


def _system(place: Path, privileged: bool) -> None:
    settings, devices = place / "proc/sys", place / "dev"
    linux.mount("proc", str(place / "proc"), "proc")
    linux.mount("sysfs", str(place / "sys"), "sysfs", linux.MS_RDONLY)
    if not privileged:
        linux.bind(str(settings), str(settings), read_only=True)
    linux.mount("tmpfs", str(devices), "tmpfs", linux.MS_NOSUID, "mode=755")
    for name in _DEVICES:
        _bind(Path("/dev", name), devices / name)
    (devices / "shm").mkdir()
    linux.mount("tmpfs", str(devices / "shm"), "tmpfs", linux.MS_NOSUID | linux.MS_NODEV, "mode=1777")
    for name, aim in (("fd", ""), ("stdin", "/0"), ("stdout", "/1"), ("stderr", "/2")):
        (devices / name).symlink_to(f"/proc/self/fd{aim}")
