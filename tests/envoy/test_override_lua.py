"""The Lua that Envoy runs, under LuaJIT, against the Python that everything else reads overrides with."""

import json
import math
from base64 import b64decode, b64encode
from collections import Counter
from pathlib import Path
from random import Random
from urllib.parse import quote

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from lupa import luajit21

import hostile
from detour.envoy import connect_source, override_source, plain_source, strip_source
from detour.mesh import Naming, is_name
from detour.overrides import (
    Kind,
    Overrides,
    Parsed,
    parse_baggage,
    parse_opentracing,
    strip_baggage,
    write_opentracing,
)

NAMING = Naming(home="shop")

# Envoy joins the lines of a header with a comma when Lua asks for it.
HANDLE = """
function call(hook, headers)
  local answer
  local object = {
    get = function(_, name) return headers[name] end,
    replace = function(_, name, value) headers[name] = value end,
    add = function(_, name, value) headers[name] = value end,
    remove = function(_, name) headers[name] = nil end,
  }
  local handle = {
    headers = function() return object end,
    respond = function(_, made, body) made.body = body; answer = made end,
  }
  return _G[hook](handle), headers, answer
end
"""


class Lua:
    """One of Envoy's Lua states."""

    def __init__(self, source: str) -> None:
        self._runtime = luajit21.LuaRuntime(encoding="latin-1")
        self._runtime.execute(HANDLE + source)
        self._call = self._runtime.globals().call

    def cluster(self, **headers: str) -> str:
        """Return the cluster that a request goes to."""
        cluster, _, _ = self._call("envoy_on_route", self._table(headers))
        return cluster

    def after(self, **headers: str) -> dict[str, str]:
        """Return a request's headers after the filter."""
        _, left, _ = self._call("envoy_on_request", self._table(headers))
        return dict(left.items())

    def answer(self, **headers: str) -> dict[str, str] | None:
        """Return what the filter answers a request itself, headers and body; None if that passes."""
        _, _, answer = self._call("envoy_on_request", self._table(headers))
        return dict(answer.items()) if answer else None

    def _table(self, headers: dict[str, str]) -> object:
        names = {"authority": ":authority", "method": ":method"}
        table = self._runtime.table()
        for name, value in headers.items():
            table[names.get(name, name.replace("_", "-"))] = value
        return table


@pytest.fixture(scope="module")
def lua() -> Lua:
    """Return the code of a sidecar that honours both carriers."""
    return Lua(override_source(opentracing=True))


def expected(parsed: Parsed) -> str:
    """Return the cluster for `users` that the Python reader chooses."""
    overrides = parsed.overrides
    deployment = overrides.route("users")
    if deployment is None or parsed.unreadable_for("users"):
        return "users"
    return f"users@{deployment}" + (",baseline" if overrides.falls_back else "")


def faults(overrides: Overrides) -> dict[str, str]:
    """Return the headers for the fault filter that the Python reader calls for, on a plain HTTP request."""
    made = {}
    if delay := overrides.value(Kind.DELAY, "users"):
        unit = 1 if delay.endswith("ms") else 1000
        made["x-envoy-fault-delay-request"] = str(math.floor(float(delay.rstrip("ms")) * unit + 0.5))
    abort = overrides.value(Kind.ABORT, "users")
    if abort and int(abort) >= 200:
        made["x-envoy-fault-abort-request"] = str(int(abort))
    return made


SEEDS = st.integers(min_value=0, max_value=2**64)


@settings(max_examples=1000, deadline=None, database=None)
@given(SEEDS)
def test_both_readers_choose_the_same_from_hostile_baggage(lua: Lua, seed: int) -> None:
    """100 headers an example, 100,000 in all: the same cluster, the same faults, and never an error."""
    rng, seen = Random(seed), Counter()
    for _ in range(100):
        lines = hostile.baggage(rng)
        parsed, headers = parse_baggage(lines), {"authority": "users", "baggage": ",".join(lines)}
        chosen = lua.cluster(**headers)
        assert chosen == expected(parsed), lines
        seen[chosen == "users"] += 1
        if rng.random() < 0.3:
            answer, refused = lua.answer(**headers), parsed.unreadable_for("users") is not None
            assert (answer is not None) == refused, (lines, answer)
            seen["refused"] += refused
            left = lua.after(**headers)
            made = {name: left[name] for name in left if name.startswith("x-envoy")}
            assert made == ({} if refused else faults(parsed.overrides)), lines
    assert min(seen[True], seen[False], seen["refused"]) > 0


@given(st.from_regex(r"[0-9]{0,3}(\.[0-9]{0,20})?m?s|(60|59)\.[09]{0,20}[0-9]s", fullmatch=True))
def test_both_readers_understand_the_same_delays(lua: Lua, delay: str) -> None:
    """Milliseconds, and seconds with a decimal fraction, which is rounded to milliseconds."""
    baggage = f"override.delay.users={delay}"
    made = lua.after(authority="users", baggage=baggage)
    assert {name: made[name] for name in made if name.startswith("x-")} == faults(
        parse_baggage([baggage]).overrides
    )


@pytest.mark.parametrize(("delay", "milliseconds"), [("1.5s", "1500"), ("1.0005s", "1001"), ("0.0004s", "0")])
def test_a_delay_is_rounded_to_milliseconds(lua: Lua, delay: str, milliseconds: str) -> None:
    """Which is what the fault filter takes."""
    made = lua.after(authority="users", baggage=f"override.delay.users={delay}")
    assert made["x-envoy-fault-delay-request"] == milliseconds


def test_both_readers_choose_the_same_from_hostile_opentracing_headers(lua: Lua) -> None:
    """100 headers an example, 100,000 in all: truncated, padded and mangled base64 of mangled protobuf."""
    seen: Counter[object] = Counter()

    @settings(max_examples=1000, deadline=None, database=None)
    @given(SEEDS)
    def choose(seed: int) -> None:
        rng = Random(seed)
        for _ in range(100):
            header = hostile.opentracing(rng)
            parsed = parse_opentracing(header)
            chosen = lua.cluster(authority="users", x_ot_span_context=header)
            assert chosen == expected(parsed), header
            refused = lua.answer(authority="users", x_ot_span_context=header) is not None
            assert refused == (parsed.unreadable_for("users") is not None), header
            seen[chosen == "users"] += 1
            seen["refused"] += refused

    choose()
    assert min(seen[True], seen[False], seen["refused"]) > 0


@settings(max_examples=300, deadline=None, database=None)
@given(SEEDS)
def test_both_strip_the_same(seed: int) -> None:
    """What leaves the mesh, or comes from outside, has no override left, for the next reader neither."""
    lua, rng = Lua(strip_source()), Random(seed)
    for _ in range(100):
        header = ",".join(hostile.baggage(rng))
        left = lua.after(baggage=header).get("baggage")
        assert left == strip_baggage(header), header
        assert left is None or parse_baggage([left]).overrides == Overrides()


@pytest.mark.parametrize(
    "text", [" " * 8192, "override.route.users=" + " " * 8000 + "x", "a=" + "\t " * 4000 + ",", "," * 8192]
)
def test_no_header_takes_long(lua: Lua, text: str) -> None:
    """Instructions are counted: at most some hundred for each byte, whatever the byte."""
    count = lua._runtime.execute("""
      local counted = 0
      jit.off()
      debug.sethook(function() counted = counted + 1 end, "", 100)
      return function() debug.sethook() jit.on() return counted * 100 end
    """)
    lua.cluster(authority="users", baggage=text)
    assert count() < 100 * 8192


VECTORS = Path(__file__).parents[2] / "sdk/vectors"
HEADERS = json.loads((VECTORS / "baggage.json").read_text(encoding="utf-8"))


@pytest.mark.parametrize("case", [one for one in HEADERS if "sidecars" in one], ids=lambda case: case["name"])
def test_a_sidecar_does_with_a_header_what_the_vectors_say(lua: Lua, case: dict) -> None:
    """At each limit, one below it, and past it: the cluster, or a 400. Envoy joins lines by commas."""
    found = {}
    for service in case["sidecars"]:
        headers = {"authority": service, "baggage": ",".join(case["lines"])}
        found[service] = None if lua.answer(**headers) else lua.cluster(**headers)
    assert found == case["sidecars"]


KINDS = json.loads((VECTORS / "kinds.json").read_text(encoding="utf-8"))
# What an override of a kind has a sidecar do to a call of `users`: another cluster, or headers of the fault filter.
# A kind of the table that is missing here fails.
EFFECTS = {
    "route": lambda lua, entry: lua.cluster(authority="users", baggage=entry) != "users",
    "delay": lambda lua, entry: "x-envoy-fault-delay-request" in lua.after(authority="users", baggage=entry),
    "abort": lambda lua, entry: any(
        name.startswith("x-envoy-fault-abort")
        for name in lua.after(authority="users", baggage=entry, content_type="application/grpc")
    ),
    "missing": lambda lua, entry: lua.cluster(
        authority="users", baggage=f"override.route.users=pr-42,{entry}"
    ).endswith(",baseline"),
}


def entry_of(kind: dict[str, str], value: str) -> str:
    """Return an entry of the baggage; it is encoded as text is."""
    key = kind["key"].replace("<service>", "users").replace("<flag>", "users")
    return f"{key}={quote(value, safe='')}"


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind["kind"])
def test_a_sidecar_applies_its_kinds_of_the_table(lua: Lua, kind: dict[str, str]) -> None:
    """Each accepted value takes effect, each refused one is answered with a 400; services read their own kinds."""
    refused = [f"override.route.users=pr-42,{entry_of(kind, value)}" for value in kind["refused"]]
    for value in kind["accepted"]:
        entry = entry_of(kind, value)
        assert lua.answer(authority="users", baggage=entry) is None
        if kind["applied_by"] == "sidecar":
            assert EFFECTS[kind["kind"]](lua, entry), entry
    for entry in refused:
        answer = lua.answer(authority="users", baggage=entry)
        assert (answer is not None) == (kind["applied_by"] == "sidecar"), entry


def test_a_sidecar_lists_the_kinds_of_the_table(lua: Lua) -> None:
    """To those who wrote another one."""
    body = lua.answer(authority="users", baggage="override.teleport.users=moon")["body"]
    *kinds, last = [kind["kind"] for kind in KINDS]
    assert f"the kinds are {', '.join(kinds)} and {last}." in body


READABLE = [
    "override.route.users=pr%2D42",
    "override.route.users=pr%252D42",
    "override%2Eroute%2Eusers=pr-42",
    "%6Fverride.route.users=%70r-42",
    "%256Fverride.route.users=pr-42",
    "%20override.route.users\t= pr-42 ;p=1",
    "override.route.users=pr-1,override%2Eroute.users=pr-42",
    'override.route.users="pr-1",override.route.users=pr-42',
    ",".join([f"override.log.s{index}=debug" for index in range(63)] + ["override.route.users=pr-42"]),
    "override.route.users=pr-42," + ",".join(f"override.log.s{index}=debug" for index in range(70)),
    "override.route.users=pr-42,override.route.rides=a b,override.delay.rides=soon",
    "override.route.users=pr-42,override.config.users=%FF,override.log.users=!,override.db.users",
]


@pytest.mark.parametrize("baggage", READABLE)
def test_however_it_is_spelt_an_override_counts(lua: Lua, baggage: str) -> None:
    """Encoded once or several times, keys too; of duplicates the last; what is others' does not matter."""
    assert lua.cluster(authority="users", baggage=baggage) == "users@pr-42"
    assert lua.answer(authority="users", baggage=baggage) is None
    assert parse_baggage([baggage]).overrides.route("users") == "pr-42"


REFUSED = [
    ('override.route.users="pr-42"', 'override.route.users="pr-42": expected a deployment\'s name'),
    ("override.route.users", "expected = and a value"),
    ("override.route.users=", "expected a deployment's name"),
    ("override.route.users=pr 42", "expected a deployment's name"),
    ("override.route.users=pr-42,override.route.users=%20", "expected a deployment's name"),
    ("override.delay.users=soon", "expected a delay such as 300ms"),
    ("override.abort.users=teapot", "expected an HTTP status"),
    ("override.route.users=pr-42,override.missing=basline", "expected override.missing=baseline"),
    ("override.route.users=pr-42,override.missing.users=baseline", "expected override.missing=baseline"),
    ("override.rout.users=pr-42", "the kinds are route, delay"),
    ("override.users=pr-42", "the kinds are route, delay"),
    ('override.route."users"=pr-42', "the kinds are route, delay"),
    ("pad=" + "x" * 8192 + ",override.route.users=pr-42", "the baggage has 8223 bytes"),
    ("pad=" + "x" * 8192 + ",override%2Econfig.flag=on", "but only 8192 bytes are read"),
    (",".join([*(f"override.log.s{index}=debug" for index in range(64)), "override.route.users=a"]), "number 65"),
    ("override.route.users=\xff\x01", "override.route.users=??: expected"),
]


@pytest.mark.parametrize(("baggage", "why"), REFUSED)
def test_what_is_needed_and_cannot_be_read_is_refused(lua: Lua, baggage: str, why: str) -> None:
    """With a 400 that says what is wrong, in a header and in the body; never the baseline in silence."""
    assert lua.cluster(authority="users", baggage=baggage) == "users"
    answer = lua.answer(authority="users", baggage=baggage)
    assert answer[":status"] == "400"
    assert answer["x-detour-overrides"].startswith("unreadable: ")
    assert answer["x-detour-overrides"].isprintable()
    assert why in answer["x-detour-overrides"]
    assert answer["body"].startswith("Detour: an override of this request can't be read: ")
    assert why in answer["body"]
    grpc = lua.answer(authority="users", baggage=baggage, content_type="application/grpc+proto")
    assert grpc["grpc-status"] == "3"
    assert parse_baggage([baggage]).unreadable_for("users")


@pytest.mark.parametrize(
    "baggage",
    [
        'override.route.rides="pr-42",override.delay.rides=soon,override.dely.rides=3s,override.missing=basline',
        ",".join(["team=override.", *(f"override.log.s{n}=debug" for n in range(64)), "override.route.a=b"]),
        "pad=" + "x" * 8192,
        "pad=override." + "x" * 8192 + ",x-override.route.users=pr-42",
        "Override.Route.users=pr-42",
        "override.route.users2=a b",
    ],
)
def test_what_is_not_needed_passes(lua: Lua, baggage: str) -> None:
    """What is for others fails at its own hop, and baggage of any length without overrides never does."""
    assert lua.cluster(authority="users", baggage=baggage) == "users"
    assert lua.answer(authority="users", baggage=baggage) is None
    assert parse_baggage([baggage]).unreadable_for("users") is None


def test_a_carrier_that_shows_overrides_and_cannot_be_read_is_refused(lua: Lua) -> None:
    """One that shows none is another tracer's."""
    header = write_opentracing(None, parse_baggage(["override.route.users=pr-42"]).overrides)
    broken = b64encode(b64decode(header)[:-3]).decode()
    assert "a form that cannot be read" in lua.answer(authority="users", x_ot_span_context=broken)["body"]
    for other in ("none", "EA==", "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01", "x" * 9000):
        assert lua.answer(authority="users", x_ot_span_context=other) is None


def test_the_baggage_wins_over_the_opentracing_header_key_by_key(lua: Lua) -> None:
    """A route in both: the baggage's. A fallback in one: it counts."""
    header = write_opentracing(
        None, parse_baggage(["override.route.users=old,override.missing=baseline"]).overrides
    )
    both = {"authority": "users", "x_ot_span_context": header}
    assert lua.cluster(**both) == "users@old,baseline"
    assert lua.cluster(**both, baggage="override.route.users=new") == "users@new,baseline"
    assert lua.cluster(**both, baggage="override.route.payments=new") == "users@old,baseline"


def test_the_opentracing_header_means_nothing_where_the_mesh_does_not_honour_it() -> None:
    """Only the code for that carrier makes a difference."""
    header = write_opentracing(None, parse_baggage(["override.route.users=pr-42"]).overrides)
    assert Lua(override_source()).cluster(authority="users", x_ot_span_context=header) == "users"


@pytest.mark.parametrize(
    ("authority", "cluster"),
    [
        ("users", "users@pr-42"),
        ("users:8080", "users:8080@pr-42"),
        ("USERS:8080", "USERS:8080@pr-42"),
        ("users2", "users2"),
        ("", ""),
        ("[::1]:80", "[::1]:80"),
        ("x" * 64, "x" * 64),
    ],
)
def test_the_authority_names_the_service(lua: Lua, authority: str, cluster: str) -> None:
    """In lower case and without its port; the cluster keeps it as it was sent."""
    baggage = f"override.route.users=pr-42,override.route.{'x' * 64}=a,override.route.=a"
    assert lua.cluster(authority=authority, baggage=baggage) == cluster


def test_a_connect_goes_to_its_tunnel_whatever_it_carries() -> None:
    """Overrides are for the requests in the tunnel."""
    connect = Lua(connect_source())
    assert connect.cluster(authority="users:50051", baggage="override.route.users=pr-42") == "connect@users:50051"
    assert connect.cluster() == "connect@"


HOSTS = st.lists(st.sampled_from(["users", "shop", "pay", "svc", "cluster", "local", ".", "", "Users"]), max_size=8)


@given(HOSTS.map(".".join), st.sampled_from(["shop", "pay", ""]))
def test_both_know_which_service_a_host_name_means(host: str, caller: str) -> None:
    """In a mesh of namespaces; the cluster is asked for as the application called it."""
    lua = Lua(override_source(naming=NAMING, caller=caller))
    service = NAMING.canonical(host.lower(), caller)
    cluster = lua.cluster(authority=f"{host}:8080", baggage=f"override.route.{service}=pr-42")
    assert cluster == f"{host}:8080" + ("@pr-42" if is_name(service) else "")


PLAIN_MEMBERS = st.lists(
    st.sampled_from(
        [
            "override.route.users=pr-42",
            "override.route.users=a_b.7",
            "override.route.users2=pr-1",
            "override.route.payments=pr-2",
            "override.config.route=override.route.users",
            "override.missing=baseline",
            "a.override.route.users=pr-3",
            "a=override.missing",
            "a=",
        ]
    ),
    max_size=5,
)


@pytest.fixture(scope="module")
def readers() -> list[tuple[Lua, Lua]]:
    """Return the reader of any baggage and that of plain baggage, without namespaces and with."""
    namings = (Naming(), NAMING)
    return [(Lua(override_source(naming=one)), Lua(plain_source(naming=one))) for one in namings]


@settings(database=None)
@given(
    PLAIN_MEMBERS.map(",".join), st.sampled_from(["users", "USERS:8080", "users2", "", "[::1]:80", "users.shop"])
)
def test_plain_baggage_is_read_as_any_other(readers: list[tuple[Lua, Lua]], baggage: str, authority: str) -> None:
    """What the route takes for plain has a shorter reader of its own, which chooses the same."""
    for usual, plain in readers:
        chosen = plain.cluster(authority=authority, baggage=baggage)
        assert chosen == usual.cluster(authority=authority, baggage=baggage)


def test_the_reader_of_plain_baggage_remembers_few_hosts(readers: list[tuple[Lua, Lua]]) -> None:
    """However many come by, and of whatever length; each has its own service, the first time and later."""
    baggage = "override.route.users1=pr-1,override.route.users=pr-42"
    hosts = [*(f"users{index}:8080" for index in range(1100)), "users", "x" * 70_000, *["users", "USERS1:8080"] * 2]
    for usual, plain in readers:
        for host in hosts:
            chosen = plain.cluster(authority=host, baggage=baggage)
            assert chosen == usual.cluster(authority=host, baggage=baggage)


def test_an_edge_knows_its_service() -> None:
    """There the authority is a public host name."""
    lua = Lua(override_source(service="web"))
    assert lua.cluster(authority="app.example.test", baggage="override.route.web=pr-42") == "web@pr-42"
    assert lua.cluster(authority="app.example.test") == "web"


def test_a_request_without_headers_has_no_overrides(lua: Lua) -> None:
    """Nothing is taken for granted."""
    assert lua.cluster() == ""
    assert lua.after() == {}


@pytest.mark.parametrize(
    ("abort", "content_type", "header"),
    [
        ("503", "text/plain", ("x-envoy-fault-abort-request", "503")),
        ("503", "application/grpc", ("x-envoy-fault-abort-request", "503")),
        ("14", "application/grpc+proto", ("x-envoy-fault-abort-grpc-request", "14")),
        ("14", "text/plain", None),
    ],
)
def test_an_abort_is_a_status_or_a_grpc_code(lua: Lua, abort: str, content_type: str, header: tuple | None) -> None:
    """A gRPC code means nothing to a plain HTTP request."""
    after = lua.after(authority="users", content_type=content_type, baggage=f"override.abort.users={abort}")
    assert {name: value for name, value in after.items() if name.startswith("x-")} == dict(
        [header] if header else []
    )


def test_a_clients_own_fault_headers_are_removed(lua: Lua) -> None:
    """Only overrides make faults."""
    names = (
        "delay_request",
        "delay_request_percentage",
        "abort_request",
        "abort_grpc_request",
        "throughput_response",
    )
    assert lua.after(authority="users", **{f"x_envoy_fault_{name}": "1" for name in names}) == {
        ":authority": "users"
    }
