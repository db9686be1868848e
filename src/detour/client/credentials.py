"""The credentials of a person: a file of their own, with one entry for each server.

Invariant: only this person can read the file (mode 0600), and a token is only sent to the server that it is for.
"""

import json
import os
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

ENVIRONMENT: Final = "DETOUR_TOKEN"
"""The variable that holds a token for whatever server is asked: for programs such as CI."""


@dataclass(frozen=True, slots=True)
class Credentials:
    """What is sent to a server.

    Args:
        token: As `Authorization: Bearer`.
        expires: When it expires, in seconds since 1970; None if it never does.
        refresh_token: What gets another, at the token endpoint.
        token_endpoint: Where, if it was signed in with an issuer.
        client_id: As which client.
    """

    token: str
    expires: float | None = None
    refresh_token: str = ""
    token_endpoint: str = ""
    client_id: str = ""


def of(server: str) -> Credentials | None:
    """Return the credentials for a server; None without a sign-in.

    Raises:
        OSError: The file can't be read.
        ValueError: It is not one that `keep` has written.
    """
    if token := os.environ.get(ENVIRONMENT):
        return Credentials(token)
    found = _read().get(_origin(server))
    try:
        return Credentials(**found) if found else None
    except TypeError as error:
        raise _unreadable(_path()) from error


def keep(server: str, credentials: Credentials) -> Path:
    """Keep credentials for a server; return the file."""
    known = _read()
    known[_origin(server)] = asdict(credentials)
    return _write(known)


def forget(server: str) -> bool:
    """Remove the credentials for a server; False if there were none."""
    known = _read()
    is_known = known.pop(_origin(server), None) is not None
    if is_known:
        _write(known)
    return is_known


def _path() -> Path:
    """Return the file, where the XDG Base Directory Specification has it."""
    home = os.environ.get("XDG_CONFIG_HOME") or Path.home() / ".config"
    return Path(home) / "detour" / "credentials.json"


def _origin(server: str) -> str:
    parsed = urlsplit(server)
    return f"{parsed.scheme}://{parsed.netloc}".lower()


def _read() -> dict[str, dict[str, Any]]:
    path = _path()
    try:
        return dict(json.loads(path.read_text(encoding="utf-8")))
    except FileNotFoundError:
        return {}
    except OSError as error:
        raise OSError(f"{path}: cannot be read: {error.strerror}") from error
    except (TypeError, ValueError, RecursionError) as error:
        raise _unreadable(path) from error


def _unreadable(path: Path) -> ValueError:
    return ValueError(f"{path}: is not what detour login writes; remove it, and sign in again: detour login")


def _write(known: dict[str, dict[str, Any]]) -> Path:
    path = _path()
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    new = path.with_suffix(f".{os.getpid()}")
    with os.fdopen(os.open(new, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w", encoding="utf-8") as file:
        json.dump(known, file, indent=2)
    return new.replace(path)
