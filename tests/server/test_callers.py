"""What the API reads from a request about its caller, and which role a request needs."""

import getpass
from collections.abc import Iterator

import httpx
import pytest
from fastapi import FastAPI, Request
from fastapi.responses import PlainTextResponse
from starlette.routing import Route

from detour.access import ForbiddenError, Identity, Requester, Role, UnknownCallerError, Via
from detour.server.api.callers import OPEN, Caller, _own_user, identify, requester_of
from detour.server.followed_database import FollowedDatabase
from detour.server.identities import Identities, TokenBook

LOCAL = ("127.0.0.1", 50_000)
ELSEWHERE = ("10.0.0.7", 50_000)


def request(
    path: str = "/v1/me",
    method: str = "GET",
    peer: tuple[str, int] | None = LOCAL,
    identities: Identities | None = None,
    **headers: str,
) -> Request:
    """Return a request; names of headers are given with underscores."""
    app = FastAPI()
    app.state.identities = identities or Identities()
    sent = {"host": "localhost", **{name.replace("_", "-"): value for name, value in headers.items()}}
    return Request(
        {
            "type": "http",
            "method": method,
            "path": path,
            "route": Route(path, lambda _request: None),
            "client": peer,
            "headers": [(name.lower().encode(), value.encode()) for name, value in sent.items()],
            "app": app,
        }
    )


@pytest.fixture(autouse=True)
def operator(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Let a certain user run the server."""
    _own_user.cache_clear()
    monkeypatch.setattr(getpass, "getuser", lambda: "operator")
    yield
    _own_user.cache_clear()


def test_what_a_request_says_about_its_sender() -> None:
    """Each part is where it belongs."""
    headers = {"host": "detour.test:1", "origin": "https://a.test", "via": "1.1 a", "authorization": "Bearer x"}
    assert requester_of(request(peer=ELSEWHERE, **headers), "ana") == Requester(
        peer="10.0.0.7",
        host="detour.test:1",
        origin="https://a.test",
        is_forwarded=True,
        authorization="Bearer x",
        user="ana",
    )
    silent = request(peer=None)
    silent.scope["headers"] = []
    assert requester_of(silent) == Requester("", "", "", is_forwarded=False, authorization="", user="operator")


@pytest.mark.parametrize(
    "header",
    [
        "forwarded",
        "via",
        "cf_connecting_ip",
        "true_client_ip",
        "x_client_ip",
        "x_envoy_external_address",
        "x_real_ip",
        "x_forwarded_for",
        "x_forwarded_anything",
    ],
)
async def test_headers_of_proxies(header: str) -> None:
    """Any of them, even an empty one, makes a request one of another machine."""
    for value in ("", "10.0.0.7"):
        sent = request(**{header: value})
        assert requester_of(sent).is_forwarded is True
        with pytest.raises(UnknownCallerError, match="without a token only from its own machine"):
            await identify(sent)


@pytest.mark.parametrize("header", ["x_forwarding", "x_real", "vial", "forwarded_by", "user_agent"])
def test_other_headers(header: str) -> None:
    """Say nothing about a proxy."""
    assert requester_of(request(**{header: "10.0.0.7"})).is_forwarded is False


@pytest.mark.parametrize(
    ("user", "name"),
    [
        ("ana", "ana"),
        ("  ana b\t", "ana b"),
        ("a" * 100, "a" * 100),
        ("a" * 101, "a" * 100),
        (None, "operator"),
        ("", "operator"),
        (" \t", "operator"),
        ("a\nb", "operator"),
        ("a\x00", "operator"),
    ],
)
async def test_the_name_of_a_local_caller(user: str | None, name: str) -> None:
    """The header's, on one line and of 100 characters; otherwise that of the user who runs the server."""
    assert await identify(request(), user) == Identity(name, Role.ADMIN, Via.LOCAL)


@pytest.mark.parametrize("error", [KeyError("getpwuid(): uid not found: 4711"), OSError("No username set")])
async def test_a_server_whose_user_has_no_name(monkeypatch: pytest.MonkeyPatch, error: Exception) -> None:
    """As in a container with a random user; the name is read once."""
    asked = []

    def getuser() -> str:
        asked.append(1)
        raise error

    monkeypatch.setattr(getpass, "getuser", getuser)
    for _ in range(2):
        assert await identify(request()) == Identity("unknown", Role.ADMIN, Via.LOCAL)
    assert len(asked) == 1


WITHOUT_AUTHENTICATION = ["/", "/docs", "/healthz", "/metrics", "/readyz", "/ui/{version}/{name}", "/v1/sign-in"]


async def test_paths_without_authentication() -> None:
    """These paths, written out by hand, for all callers; no other path, also not below one of them."""
    assert sorted(OPEN) == WITHOUT_AUTHENTICATION
    for path in WITHOUT_AUTHENTICATION:
        assert await identify(request(path, peer=ELSEWHERE, authorization="Bearer wrong")) is None
    for path in ("/v1/me", "/v1/tokens", "/healthz/", "/metrics/a", "/v1", "/docs/a", "/v1/sign-in/a"):
        with pytest.raises(UnknownCallerError):
            await identify(request(path, peer=ELSEWHERE))


@pytest.mark.parametrize(
    ("method", "needed"),
    [
        ("GET", Role.VIEWER),
        ("HEAD", Role.VIEWER),
        ("POST", Role.DEVELOPER),
        ("PUT", Role.DEVELOPER),
        ("PATCH", Role.DEVELOPER),
        ("DELETE", Role.DEVELOPER),
        ("OPTIONS", Role.DEVELOPER),
    ],
)
async def test_the_role_that_a_request_needs(database, method: str, needed: Role) -> None:
    """Viewers read; everything else is for developers and admins."""
    book = TokenBook(FollowedDatabase(database))
    for role in Role:
        identity = Identity("ada", role, Via.TOKEN)
        _, token = await book.create("test", identity, None, "root")
        sent = request(method=method, peer=ELSEWHERE, identities=Identities(book), authorization=f"Bearer {token}")
        if role is Role.VIEWER and needed is Role.DEVELOPER:
            with pytest.raises(ForbiddenError, match="this needs the role developer, and ada has the role viewer"):
                await identify(sent)
        else:
            assert await identify(sent) == identity


def served() -> FastAPI:
    """Return an application with one operation, which says who calls it."""
    app = FastAPI()
    app.state.identities = Identities()

    @app.get("/v1/me")
    async def me(caller: Caller) -> str:
        return f"{caller.name} {caller.role}"

    @app.exception_handler(UnknownCallerError)
    async def unknown(_request: Request, error: Exception) -> PlainTextResponse:
        return PlainTextResponse(str(error), 401)

    return app


@pytest.mark.parametrize(
    ("headers", "status", "text"),
    [
        ({}, 200, '"operator admin"'),
        ({"x-detour-user": "ana"}, 200, '"ana admin"'),
        ({"authorization": "Basic cm9vdDo="}, 401, "this server accepts requests without a token only from"),
        ({"authorization": "Bearer wrong"}, 401, "this server accepts requests without a token only from"),
    ],
)
async def test_the_headers_that_a_framework_reads(headers: dict[str, str], status: int, text: str) -> None:
    """Requests without a token reach the server's own check, in its own words."""
    transport = httpx.ASGITransport(served(), client=LOCAL)
    async with httpx.AsyncClient(transport=transport, base_url="http://localhost") as http:
        answer = await http.get("/v1/me", headers=headers)
    assert (answer.status_code, answer.text[: len(text)]) == (status, text)


def test_what_the_document_says_about_callers() -> None:
    """The header of local callers, and the token of others."""
    document = served().openapi()
    operation = document["paths"]["/v1/me"]["get"]
    (parameter,) = operation["parameters"]
    assert (parameter["name"], parameter["in"], parameter["required"]) == ("x-detour-user", "header", False)
    assert parameter["description"] == "the caller's name, for local callers of a server without an issuer"
    assert operation["security"] == [{"token": []}]
    assert document["components"]["securitySchemes"] == {
        "token": {
            "type": "http",
            "scheme": "bearer",
            "description": "an API token or a token of the issuer; without an issuer, local callers need none",
        }
    }
