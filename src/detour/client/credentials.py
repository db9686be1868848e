"""A user's stored credentials: one file, with one entry for each server.

Invariant: only the user can read the file (mode 0600), and a token is sent only to its own server.
"""

import json
import os
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

ENVIRONMENT: Final = "DETOUR_TOKEN"
"""The environment variable with a token for any server, for programs such as CI."""


@dataclass(frozen=True, slots=True)
class Credentials:
    """The credentials for a server.

    Args:
        token: Sent as `Authorization: Bearer`.
        expires: When it expires, in seconds since 1970; None if it never does.
        refresh_token: Sent to the token endpoint to get a new token; "" if there is none.
        token_endpoint: The issuer's endpoint for new tokens; "" for an API token.
        client_id: The client id at the issuer.
    """

    token: str
    expires: float | None = None
    refresh_token: str = ""
    token_endpoint: str = ""
    client_id: str = ""


def of(server: str) -> Credentials | None:
    """Return the credentials for a server; None without a sign-in.

    Raises:
        OSError: The file cannot be read.
        ValueError: The file does not have the format that `keep` writes.
    """
    if token := os.environ.get(ENVIRONMENT):
        return Credentials(token)
    found = _read().get(_origin(server))
    try:
        return Credentials(**found) if found else None
    except TypeError as error:
        raise _unreadable(_path()) from error


def keep(server: str, credentials: Credentials) -> Path:
    """Store credentials for a server; return the path of the file."""
    known = _read()
    known[_origin(server)] = asdict(credentials)
    return _write(known)


def forget(server: str) -> bool:
    """Remove the credentials for a server; return False if none were stored."""
    known = _read()
    is_known = known.pop(_origin(server), None) is not None
    if is_known:
        _write(known)
    return is_known


def _path() -> Path:
    """Return the path of the file (XDG Base Directory Specification)."""
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
    return ValueError(f"{path}: not a credentials file; remove it, and sign in again: detour login")


def _write(known: dict[str, dict[str, Any]]) -> Path:
    path = _path()
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    new = path.with_suffix(f".{os.getpid()}")
    with os.fdopen(os.open(new, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w", encoding="utf-8") as file:
        json.dump(known, file, indent=2)
    return new.replace(path)
