"""Serving the web page's files.

Invariant: browsers revalidate `/` each time. The paths of the files that it loads change with their content, so
browsers cache them permanently. The page loads only these files and the API, and other pages cannot frame it.
"""

import gzip
import mimetypes
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from hashlib import sha256
from http import HTTPStatus
from pathlib import Path
from typing import Annotated, Final
from urllib.parse import urlsplit

from fastapi import FastAPI, Header, HTTPException, Request, Response

from detour.access.issuer import IssuerError
from detour.server.identities import Identities
from detour.server.web.compression import CompressedLists

PAGE: Final = "/"
PAGE_FILE: Final = "/ui/{version}/{name}"

_STATIC: Final = Path(__file__).with_name("static")
_INDEX: Final = "index.html"
_KEPT: Final = "public, max-age=31536000, immutable"
_TYPES: Final = {".js": "text/javascript", ".css": "text/css", ".html": "text/html", ".svg": "image/svg+xml"}
_TAG: Final = re.compile(r'"[^"]*"')


@dataclass(frozen=True, slots=True)
class _File:
    """A file to serve: its media type, its content, plain and compressed, and its entity tag."""

    media_type: str
    content: bytes
    compressed: bytes
    tag: str

    @staticmethod
    def of(name: str, content: bytes) -> "_File":
        suffix = Path(name).suffix
        media_type = _TYPES.get(suffix) or mimetypes.types_map[suffix]
        return _File(media_type, content, gzip.compress(content, mtime=0), f'"{_hash(content)}"')


def add_page(app: FastAPI, identities: Identities) -> None:
    """Add the page to an API, at `/`, and its files, below `/ui/`; the API's document does not list them.

    This also compresses the API's long lists.

    Args:
        app: The API.
        identities: Has the issuer from which the page requests tokens.
    """
    current, index, files = _read()
    app.add_middleware(CompressedLists)

    @app.get(PAGE, include_in_schema=False)
    async def page(request: Request, if_none_match: Annotated[str, Header()] = "") -> Response:
        headers = {**_headers(await _elsewhere(identities)), "Cache-Control": "no-cache"}
        return _answer(index, request, headers, if_none_match)

    @app.get(PAGE_FILE, include_in_schema=False)
    async def file(version: str, name: str, request: Request) -> Response:
        if name not in files:
            raise HTTPException(HTTPStatus.NOT_FOUND)
        # During an upgrade, the page may come from a server of another version.
        keeping = _KEPT if version == current else "no-store"
        return _answer(files[name], request, {**_headers(), "Cache-Control": keeping})


async def _elsewhere(identities: Identities) -> Sequence[str]:
    """Return the other origins that the page may send requests to: the issuer's token endpoint."""
    if identities.issuer is None:
        return ()
    try:
        token_endpoint = urlsplit((await identities.issuer.endpoints()).token)
    except IssuerError:
        return ()  # signing in is not possible at the moment, but the page works
    return (f"{token_endpoint.scheme}://{token_endpoint.netloc}",)


def _answer(file: _File, request: Request, headers: Mapping[str, str], if_none_match: str = "") -> Response:
    sent = {**headers, "ETag": file.tag, "Vary": "Accept-Encoding"}
    if file.tag in _TAG.findall(if_none_match):
        return Response(status_code=HTTPStatus.NOT_MODIFIED, headers=sent)
    if "gzip" in request.headers.get("accept-encoding", ""):
        sent["Content-Encoding"] = "gzip"
        return Response(file.compressed, headers=sent, media_type=file.media_type)
    return Response(file.content, headers=sent, media_type=file.media_type)


def _headers(elsewhere: Sequence[str] = ()) -> dict[str, str]:
    """Return the security headers of the page (Content Security Policy Level 3)."""
    policy = {
        "default-src": "'none'",
        "script-src": "'self'",
        "style-src": "'self'",
        "img-src": "'self' blob:",
        "connect-src": " ".join(["'self'", *elsewhere]),
        "base-uri": "'none'",
        "form-action": "'none'",
        "frame-ancestors": "'none'",
        # Text cannot become markup or code by mistake (W3C Trusted Types).
        "require-trusted-types-for": "'script'",
        "trusted-types": "'none'",
    }
    return {
        "Content-Security-Policy": "; ".join(f"{name} {value}" for name, value in policy.items()),
        "Cross-Origin-Opener-Policy": "same-origin",
        "Cross-Origin-Resource-Policy": "same-origin",
        "Referrer-Policy": "no-referrer",
        "X-Content-Type-Options": "nosniff",
    }


@cache
def _read() -> tuple[str, _File, Mapping[str, _File]]:
    """Return the version of the files, the page that names them, and the files."""
    contents = {path.name: path.read_bytes() for path in sorted(_STATIC.iterdir()) if path.is_file()}
    version = _hash(b"".join(contents.values()))
    page = contents.pop(_INDEX).decode().replace("VERSION", version)
    files = {name: _File.of(name, content) for name, content in contents.items()}
    return version, _File.of(_INDEX, page.encode()), files


def _hash(content: bytes) -> str:
    return sha256(content).hexdigest()[:16]
