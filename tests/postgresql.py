"""A real PostgreSQL, from Debian, on a loopback port of its own with its data in a given folder."""

import os
import pwd
import shutil
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from ports import free_port
from propagation.brokers.broker import process

USER: Final = "detour"


def programs() -> Path | None:
    """Return the folder of the newest version's programs; Debian puts only clients on the PATH."""
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"), key=lambda one: float(one.parts[-3]))
    return found[-1].parent if found else None


def why_not() -> str:
    """Say why there is none on this machine; "" if there is."""
    if programs() is None:
        return "PostgreSQL: no server on this machine (Debian's postgresql)"
    return (
        "" if os.getuid() or _system_user() else "PostgreSQL: refuses to run as root, and there is no user postgres"
    )


@contextmanager
def running(folder: Path) -> Iterator[str]:
    """Run one until the context is left; yield the URL of its server, without a database's name.

    It does not wait for the disk: what is tested is never the machine's power.
    """
    found = programs()
    assert found
    data, port = folder / "data", free_port()
    as_user: Sequence[str] = []
    if not os.getuid():
        # PostgreSQL refuses to run as root. The signal of a parent's death does not outlive a change of user.
        user = _system_user()
        assert user
        os.chown(folder, user.pw_uid, user.pw_gid)
        setpriv = str(shutil.which("setpriv"))
        as_user = [setpriv, f"--reuid={user.pw_uid}", f"--regid={user.pw_gid}", "--clear-groups"]
        as_user = [*as_user, "--pdeathsig", "TERM"]
    initdb = [str(found / "initdb"), "--pgdata", str(data), "--username", USER, "--auth", "trust", "--no-sync"]
    subprocess.run(
        [*as_user, *initdb, "--encoding", "UTF8", "--locale", "C"], check=True, capture_output=True, cwd="/"
    )
    settings = {
        "listen_addresses": "127.0.0.1",
        "port": str(port),
        "unix_socket_directories": "",
        "fsync": "off",
        "shared_buffers": "16MB",
    }
    command = [*as_user, str(found / "postgres"), "-D", str(data)]
    command += [word for name, value in settings.items() for word in ("-c", f"{name}={value}")]
    with process(command, folder, {}, lambda: _serves(found, port)):
        yield f"postgresql://{USER}@127.0.0.1:{port}"


def _system_user() -> "pwd.struct_passwd | None":
    try:
        return pwd.getpwnam("postgres")
    except KeyError:
        return None


def _serves(found: Path, port: int) -> bool:
    ready = [str(found / "pg_isready"), "-q", "-h", "127.0.0.1", "-p", str(port)]
    return subprocess.run(ready, check=False).returncode == 0
