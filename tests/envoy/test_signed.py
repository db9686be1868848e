"""Overrides from outside with a token, at a real edge: what a good one opens, and what opens nothing."""

import asyncio
import time
from base64 import urlsafe_b64decode
from collections import Counter
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from types import MappingProxyType

import httpx
import jwt
import pytest

from detour.access.keys import Key, Times, new_key
from detour.access.signing import Signer
from detour.envoy.vocabulary import TOKEN_FILTER
from detour.mesh import KeysApplied, Scenarios, ScenariosApplied, SettingsApplied
from detour.overrides import parse_baggage, parse_words, write_opentracing
from detour.xds.catalog import FILTERS
from parts import Client, MeshUnderTest, edge_of

PR_42 = {"baggage": "a=1,override.route.users=pr-42"}
WAYS: Sequence[Mapping[str, str]] = (
    {"host": "pay.preview.example.test"},
    {"x-detour-scenario": "pay"},
    {"cookie": "detour=pay"},
    {"origin": "https://pay.preview.example.test"},
)


def key() -> Key:
    """Return a new key."""
    made = new_key([], datetime.now(UTC), Times())
    assert made
    return made


@pytest.fixture
def signer() -> Signer:
    """Return what signs with a key that edges have."""
    return Signer([key()])


@pytest.fixture
async def edge(mesh: MeshUnderTest, signer: Signer) -> Client:
    """Return an edge, with a scenario that says something of payments, and one that says something of users."""
    live = {"pay": parse_words(["payments=pr-1"]), "checkout": parse_words(["users=pr-42"])}
    mesh.apply(
        SettingsApplied(edge_of({"preview.example.test": "users"}, any="users")),
        ScenariosApplied(Scenarios(MappingProxyType(live))),
        KeysApplied(signer.public(datetime.now(UTC))),
    )
    return await mesh.edge(trust_overrides=False)


def sent(answer: httpx.Response, name: str = "baggage") -> list[str]:
    """Return the lines of a header that the application got."""
    return [value for key, value in answer.json()["headers"] if key == name]


def opened(answer: httpx.Response) -> bool:
    """Say whether the override counted; if not, see that it is gone, and that the response says so."""
    assert answer.status_code == 200, answer.text
    assert sent(answer, "x-detour-token") == []
    if answer.json()["instance"] == "users-pr-42":
        assert "x-detour-overrides" not in answer.headers
        return True
    assert sent(answer) == ["a=1"]
    assert answer.headers["x-detour-overrides"].startswith("removed (")
    return False


async def test_a_good_token(edge: Client, signer: Signer) -> None:
    """Overrides of every kind count, and go on; the token does not, with baggage or without."""
    token = {"x-detour-token": signer.token("ana", timedelta(hours=1)).text}
    answer = await edge.get("/", headers={**PR_42, **token})
    assert opened(answer)
    assert (sent(answer), answer.headers["x-detour-served-by"]) == ([PR_42["baggage"]], "users@pr-42")
    lines = [("baggage", "override.route.users=pr-7"), ("baggage", PR_42["baggage"]), *token.items()]
    assert opened(await edge.get("/", headers=lines))
    answer = await edge.get("/", headers={"baggage": "override.abort.users=418", **token})
    assert answer.status_code == 418
    answer = await edge.get("/", headers={"baggage": "override.config.new=on", **token})
    assert (answer.json()["instance"], sent(answer)) == ("users-1", ["override.config.new=on"])
    answer = await edge.get("/", headers=token)
    assert (answer.json()["instance"], sent(answer, "x-detour-token")) == ("users-1", [])
    assert not {"x-detour-overrides", "x-detour-served-by"} & set(answer.headers)


async def test_a_token_is_for_baggage_only(edge: Client, signer: Signer) -> None:
    """Other carriers and internal headers are removed all the same."""
    headers = {
        "x-detour-token": signer.token("ana").text,
        "x-ot-span-context": write_opentracing(None, parse_words(["users=pr-42"])),
        "x-envoy-fault-abort-request": "418",
        "x-envoy-original-dst-host": "127.0.0.1:1",
    }
    answer = await edge.get("/", headers={**headers, "baggage": "a=1"})
    assert (answer.status_code, answer.json()["instance"]) == (200, "users-1")
    assert not {name for name, _ in answer.json()["headers"]} & set(headers)


def forged(signer: Signer) -> dict[str, tuple[str, str]]:
    """Return what is no good token, and what is said of it."""
    own, other = next(iter(signer._public)), key()
    now = int(time.time())
    claims = {"iss": "detour", "aud": "detour-edge", "sub": "eve", "iat": now, "nbf": now - 30, "exp": now + 900}

    def token(by: Key = own, kid: str = own.name, header: dict | None = None, **changed: object) -> str:
        body = {name: value for name, value in {**claims, **changed}.items() if value is not None}
        return jwt.encode(body, by.private, algorithm="EdDSA", headers={"kid": kid, **(header or {})})

    good, point = token(), urlsafe_b64decode(own.public.point + "=")
    jwk = {"kty": "OKP", "crv": "Ed25519", "x": other.public.point}
    unsigned = jwt.encode(claims, None, algorithm="none", headers={"kid": own.name})
    head, body, signature = good.split(".")
    return {
        "expired": (token(exp=now - 60), "Jwt is expired"),
        "without an end": (token(exp=None), "verification fails"),
        "good for too long": (token(exp=now + 7200), "verification fails"),
        "not yet good": (token(nbf=now + 600), "Jwt not yet valid"),
        "another issuer": (token(iss="evil"), "issuer"),
        "another audience": (token(aud="detour-api"), "Audiences"),
        "another key": (token(by=other), "verification fails"),
        "another key with its name": (token(by=other, kid=other.name), "kid"),
        "a key that it brings itself": (token(by=other, header={"jwk": jwk}), "verification fails"),
        "no algorithm": (unsigned, "form"),
        "no algorithm, signed": (f"{unsigned}{signature}", "alg"),
        "the public key as a secret": (jwt.encode(claims, point, "HS256", {"kid": own.name}), "kid or alg"),
        "changed": (f"{head}.{body[:-4]}AAAA.{signature}", ""),
        "without its signature": (f"{head}.{body}.", ""),
        "two in one line": (f"{good},{good}", "form"),
        "with words before it": (f"Bearer {good}", "header is an invalid JSON"),
        "very long": ("a" * 50_000, "form"),
        "empty": ("", "form"),
    }


async def test_what_is_no_good_token(edge: Client, signer: Signer) -> None:
    """Opens nothing, on whatever host, and the response says why."""
    for name, (token, why) in forged(signer).items():
        answer = await edge.get("/", headers={**PR_42, "x-detour-token": token})
        assert not opened(answer), name
        assert why in answer.headers["x-detour-overrides"], (name, answer.headers)
        answer = await edge.get("/", headers={**PR_42, **WAYS[0], "x-detour-token": token})
        assert (answer.json()["instance"], sent(answer)) == ("users-1", ["a=1,override.route.payments=pr-1"]), name
        assert why in answer.headers["x-detour-overrides"], (name, answer.headers)


async def test_a_token_in_another_place(edge: Client, signer: Signer) -> None:
    """Opens nothing: not where others have theirs, nor the words by which Envoy remembers a good one."""
    good = signer.token("ana").text
    for more in (
        {"authorization": f"Bearer {good}"},
        {"cookie": f"x-detour-token={good}"},
        {"x-jwt-payload": good.split(".")[1]},
        {"verified": "detour", "envoy.filters.http.jwt_authn": '{"verified":{"iss":"detour"}}'},
    ):
        answer = await edge.get("/", params={"access_token": good}, headers={**PR_42, **more})
        assert not opened(answer)
        assert answer.headers["x-detour-overrides"] == "removed (no x-detour-token)"


async def test_several_lines(edge: Client, signer: Signer) -> None:
    """Are no token, whatever is in them, and in whatever order."""
    good, bad = signer.token("ana").text, Signer([key()]).token("eve").text
    for lines in ([good, bad], [bad, good], [good, good], [good, "x"], ["x", good]):
        headers = [*PR_42.items(), *(("x-detour-token", line) for line in lines)]
        assert not opened(await edge.get("/", headers=headers))


async def test_in_a_scenario(edge: Client, signer: Signer) -> None:
    """What a request says itself comes before what the scenario says, and chooses where that says nothing."""
    token = {"x-detour-token": signer.token("ana").text}
    own = "a=1,override.route.users=pr-42,override.config.detour.try=7"
    for way in WAYS:
        answer = await edge.get("/", headers={**way, **token, "baggage": own})
        assert answer.json()["instance"] == "users-pr-42"
        assert sent(answer) == [f"{own},override.route.payments=pr-1"]
        assert (sent(answer, "x-detour-token"), "x-detour-overrides" in answer.headers) == ([], False)
        answer = await edge.get("/", headers={**way, **token, "baggage": "override.abort.users=418"})
        assert answer.status_code == 418
        answer = await edge.get("/", headers={**way, "baggage": own})
        assert (answer.json()["instance"], sent(answer)) == ("users-1", ["a=1,override.route.payments=pr-1"])
        assert answer.headers["x-detour-overrides"] == "removed (no x-detour-token)"
    headers = {
        "cookie": "detour=checkout",
        **token,
        "baggage": "override.route.users=pr-7,override.log.users=debug",
    }
    answer = await edge.get("/", headers=headers)
    assert answer.json()["instance"] == "users-pr-42"
    assert parse_baggage(sent(answer)).overrides == parse_words(["users=pr-42", "log.users=debug"])


async def test_what_only_looks_like_a_scenario(edge: Client, signer: Signer) -> None:
    """Is none: the token counts as it would without."""
    token = {"x-detour-token": signer.token("ana").text}
    for more in ({"cookie": "xdetour=checkout"}, {"cookie": "detour="}, {"origin": "http://preview.example.test"}):
        assert opened(await edge.get("/", headers={**PR_42, **more, **token}))
        assert not opened(await edge.get("/", headers={**PR_42, **more}))
        faulty = {"baggage": "override.abort.users=418", **more, **token}
        assert (await edge.get("/", headers=faulty)).status_code == 418


async def test_overrides_and_nothing_else(edge: Client) -> None:
    """That they are gone is told also where no baggage is left."""
    answer = await edge.get("/", headers={"baggage": "override.route.users=pr-42"})
    assert (answer.json()["instance"], sent(answer)) == ("users-1", [])
    assert answer.headers["x-detour-overrides"] == "removed (no x-detour-token)"


async def test_other_peoples_baggage_alone_is_nothing_to_tell_of(edge: Client) -> None:
    """Nobody wonders where it is."""
    for way in ({}, *WAYS):
        answer = await edge.get("/", headers={**way, "baggage": "a=1"})
        assert "x-detour-overrides" not in answer.headers


async def test_without_keys(mesh: MeshUnderTest, signer: Signer) -> None:
    """No token is good; nor does it go on at an edge that needs none."""
    token = {"x-detour-token": signer.token("ana").text}
    strict, trusting = [await mesh.edge(trust_overrides=trusts) for trusts in (False, True)]
    answer = await strict.get("/", headers={**PR_42, **token})
    assert not opened(answer)
    assert answer.headers["x-detour-overrides"] == "removed (this edge has no keys yet)"
    assert opened(await trusting.get("/", headers={**PR_42, **token}))


async def test_keys_change_under_load(edge: Client, mesh: MeshUnderTest, signer: Signer) -> None:
    """Not one request fails, nor loses its overrides, over fifty changes of keys."""
    answers: Counter[tuple[int, str, str]] = Counter()
    keys, current = list(signer._public), signer

    async def asking() -> None:
        while True:
            headers = {**PR_42, "x-detour-token": current.token("ana", timedelta(minutes=1)).text}
            answer = await edge.get("/", headers=headers)
            lost = answer.headers.get("x-detour-overrides", "")
            answers[answer.status_code, answer.json()["instance"], lost] += 1

    async with asyncio.timeout(60), asyncio.TaskGroup() as tasks:
        load = [tasks.create_task(asking()) for _ in range(6)]
        for _ in range(50):
            # As in time, one key ahead of the one that signs, and one behind it.
            keys = [*keys[-2:], key()]
            mesh.apply(KeysApplied(Signer(keys).public(datetime.now(UTC))))
            enough = answers.total() + 10
            while not mesh.has_taken(FILTERS, TOKEN_FILTER) or answers.total() < enough:
                await asyncio.sleep(0.002)
            current = Signer([keys[-1]])
        for one in load:
            one.cancel()
    assert set(answers) == {(200, "users-pr-42", "")}, answers
    assert answers.total() >= 500
    old = Signer([keys[0]]).token("ana").text
    mesh.apply(KeysApplied(Signer(keys[1:]).public(datetime.now(UTC))))
    await edge.until("/", lambda one: not opened(one), headers={**PR_42, "x-detour-token": old})
