"""Overrides that can't be read, through real Envoys: 400 where they are for, and never the baseline in silence."""

import grpc
import pytest

from parts import Client, MeshUnderTest

PAD = "pad=" + "x" * 8192
MANY = ",".join(f"override.log.s{index}=debug" for index in range(64))


@pytest.mark.parametrize(
    "baggage",
    [
        "override.route.users=pr%2D42",
        "override%2Eroute%2Eusers=pr-42",
        "%6Fverride.route.users=pr%252D42",
        "a=b,override.route%2Eusers=pr-42,override.delay.users=1ms",
        "override.route.users\t= pr-42 ;p=1",
        f"a=b,{MANY[:1500].rpartition(',')[0]},override.route.users=pr-42",
    ],
)
async def test_however_it_is_spelt_an_override_counts(caller: Client, baggage: str) -> None:
    """Propagators re-encode keys and values; the application gets what was sent."""
    answer = await caller.get("http://users/", headers={"baggage": baggage})
    assert (answer.status_code, answer.json()["instance"]) == (200, "users-pr-42")
    assert answer.headers["x-detour-served-by"] == "users@pr-42"


@pytest.mark.parametrize(
    ("baggage", "why"),
    [
        ('override.route.users="pr-42"', "expected a deployment's name, as in override.route.users=pr-42"),
        ("override.route.users", "expected = and a value"),
        (f"override.route.users={'x' * 64}", "at most 63"),
        ("override.rout.users=pr-42", "the kinds are route, delay"),
        ("override%2Edelay.users=soon", "expected a delay such as 300ms"),
        ("override.route.users=pr-42,override.missing=basline", "expected override.missing=baseline"),
        (f"{PAD},override.route.payments=pr-42", "only 8192 bytes are read"),
        (f"{PAD},override%2Eroute.payments=pr-42", "only 8192 bytes are read"),
        (f"{MANY},override.route.users=pr-42", "number 65"),
    ],
)
async def test_what_cannot_be_read_is_refused_where_it_is_for(caller: Client, baggage: str, why: str) -> None:
    """The body and a header say what is wrong with it, and how to write it."""
    answer = await caller.get("http://users/", headers={"baggage": baggage})
    assert answer.status_code == 400
    assert answer.headers["x-detour-overrides"].startswith("unreadable: ")
    assert answer.text.startswith("Detour: an override of this request can't be read: ")
    assert why in answer.text


@pytest.mark.parametrize(
    ("baggage", "served_by"),
    [
        (PAD, None),
        (f"team=a%20b,{PAD}%2E%ff", None),
        (",".join(f"k%20{index}=v" for index in range(180)), None),
        ('override.route.payments="pr-42",override.delay.payments=soon,override.missing=basline', "users"),
        (f"{MANY},override.route.payments=pr-42", "users"),
        (f"{PAD},team=override.route.users=pr-42", "users"),
    ],
)
async def test_what_is_for_others_or_is_no_override_passes(
    caller: Client, baggage: str, served_by: str | None
) -> None:
    """Untouched; and no request without overrides leaves the route of nearly all requests."""
    answer = await caller.get("http://users/", headers={"baggage": baggage})
    assert (answer.status_code, answer.json()["instance"]) == (200, "users-1")
    assert answer.headers.get("x-detour-served-by") == served_by
    assert ["baggage", baggage] in answer.json()["headers"]


async def test_grpc_clients_get_a_status_of_theirs(caller: Client) -> None:
    """INVALID_ARGUMENT, with the sentence."""
    target = f"127.0.0.1:{caller.port}"
    options = [("grpc.default_authority", "greeter"), ("grpc.enable_http_proxy", 0)]
    async with grpc.aio.insecure_channel(target, options=options) as channel:
        call = channel.unary_unary("/test.Echo/Unary")
        with pytest.raises(grpc.aio.AioRpcError) as failed:
            await call(b"x", metadata=[("baggage", 'override.route.greeter="pr-7"')], timeout=20)
    assert failed.value.code() is grpc.StatusCode.INVALID_ARGUMENT
    assert "expected a deployment's name" in failed.value.details()


@pytest.mark.parametrize("baggage", ['override.route.users="pr-42"', f"{PAD},override%2Eroute.users=pr-42"])
async def test_an_edge_removes_or_refuses_them(mesh: MeshUnderTest, baggage: str) -> None:
    """From anybody it removes them like all others; one that trusts overrides refuses them."""
    edge = await mesh.edge(trust_overrides=False)
    answer = await edge.get("/", headers={"baggage": f"team=a,{baggage}"})
    assert (answer.status_code, answer.headers["x-detour-overrides"][:7]) == (200, "removed")
    assert not any("override" in value for _, value in answer.json()["headers"])
    edge = await mesh.edge(trust_overrides=True)
    answer = await edge.get("/", headers={"baggage": f"team=a,{baggage}"})
    assert (answer.status_code, answer.headers["x-detour-overrides"][:10]) == (400, "unreadable")
