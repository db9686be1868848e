"""From the text of a mesh file to a mesh, or to every mistake in it."""

import gc
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from difflib import get_close_matches
from pathlib import Path

from pydantic import ValidationError
from pydantic_core import ErrorDetails

from detour.discovery.mesh_file import schema
from detour.discovery.mesh_file.document import Document, read_document
from detour.discovery.mesh_file.mistakes import MeshFileError, Mistake, Place, got
from detour.mesh import Mesh

_MANY_OBJECTS = 50_000
"""New objects that a full collection would take 30 ms or more to traverse: a mesh of some 5,000 services."""


def read(file: Path) -> Mesh:
    """Read a mesh file.

    Raises:
        MeshFileError: It cannot be read, or has mistakes.
    """
    return parse(content_of(file), file)


def content_of(file: Path) -> bytes:
    """Read a mesh file's content as it is.

    Raises:
        MeshFileError: It cannot be read.
    """
    try:
        return file.read_bytes()
    except OSError as error:
        raise MeshFileError(file, [Mistake(0, f"cannot be read: {error.strerror}")]) from error


def parse(content: bytes, file: Path) -> Mesh:
    """Parse the content of a mesh file; messages name `file`.

    Raises:
        MeshFileError: It has mistakes; the error lists them all.
    """
    with _without_collections():
        return _parsed(content, file)


@contextmanager
def _without_collections() -> Iterator[None]:
    """Pause the garbage collector: it stops all threads, for seconds, to traverse a million nodes without a cycle.

    The result of a large file is hidden from it for good, because a full collection of it would stop the event loop
    for 150 ms. Reference counts free the mesh when it is replaced.
    """
    was_enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if gc.get_count()[0] > _MANY_OBJECTS:
            gc.freeze()
        if was_enabled:
            gc.enable()


def _parsed(content: bytes, file: Path) -> Mesh:
    document = read_document(_text(content, file), file)
    mistakes = [*document.repeated, *_strays(document), *_unreachable(document)]
    try:
        described = schema.File.model_validate(document.value)
    except ValidationError as error:
        mistakes += (_mistake(one, document) for one in error.errors(include_url=False))
    if mistakes:
        raise MeshFileError(file, mistakes)
    return described.value()


def _text(content: bytes, file: Path) -> str:
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        text = f"is not UTF-8 text: found byte 0x{content[error.start]:02x}"
        raise MeshFileError(file, [Mistake(line, text)]) from error


def _strays(document: Document) -> Iterator[Mistake]:
    """Find hosts of the edge whose service does not exist, in a file that may have other mistakes too."""
    match document.value:
        case {"edge": dict(edge), "services": dict(services)}:
            for key in ("hosts", "previews"):
                hosts = edge.get(key)
                for host, service in hosts.items() if isinstance(hosts, dict) else ():
                    if isinstance(service, str) and service not in services:
                        text = f"expected a service of this file, got {got(service)}{_meant(service, services)}"
                        yield Mistake.at(*document.find(("edge", key, host)), text)


def _unreachable(document: Document) -> Iterator[Mistake]:
    """Find deployments that no request can choose, because sidecars do not parse the traffic of their service."""
    match document.value:
        case {"services": dict(services)}:
            for name, service in services.items():
                match service:
                    case {"protocol": "tcp", "deployments": dict(deployments)} if deployments:
                        text = (
                            "expected none with protocol: tcp, which sidecars pass on unread: no request can choose"
                            " a deployment. Say auto, http1 or http2 if the service speaks that, or leave them out"
                        )
                        yield Mistake.at(*document.find(("services", name, "deployments")), text)


def _mistake(error: ErrorDetails, document: Document) -> Mistake:
    return Mistake.at(*document.find(error["loc"]), _explanation(error))


def _explanation(error: ErrorDetails) -> str:
    match error["type"]:
        case "missing":
            return f'expected the key "{error["loc"][-1]}"'
        case "extra_forbidden":
            return _unknown_key(error["loc"])
        case schema.LIST:
            return error["msg"]
        case _:
            return f"{_expected(error)}, got {got(error['input'])}"


def _expected(error: ErrorDetails) -> str:
    match error["type"]:
        case "value_error":
            return str(error["ctx"]["error"])
        case "enum" | "literal_error":
            return f"expected {error['ctx']['expected']}"
        case "tuple_type":
            return "expected a list"
        case "string_type":
            return "expected text"
        case _:
            return "expected a mapping of keys to values"


def _unknown_key(place: Place) -> str:
    known = sorted(_keys_at(place[:-1]).model_fields)
    return "unknown key" + (_meant(str(place[-1]), known) or f", expected one of: {', '.join(known)}")


def _keys_at(place: Place) -> type[schema.Keys]:
    match place:
        case ("edge",):
            return schema.Edge
        case ("services", _):
            return schema.Service
        case ("services", _, "retries"):
            return schema.Retries
        case ("services", _, "deployments", _):
            return schema.Deployment
        case _:
            return schema.File


def _meant(word: str, known: Iterable[str]) -> str:
    close = get_close_matches(word, known, n=1)
    return f', did you mean "{close[0]}"?' if close else ""
