"""Which overrides name what a mesh does not have, and what was probably meant."""

import pytest

from detour.mesh import Endpoint, Mesh, Naming, OffloadedDeployment, Port, Protocol, Service, Settings
from detour.mesh.checking import Mistake, explained, limits, mistakes, nearest
from detour.overrides import parse_words

AT = (Endpoint("127.0.0.1", 9000),)
MESH = Mesh.of(
    [Service("users", AT), Service("payments", AT), Service("db", AT, Protocol.TCP)],
    [OffloadedDeployment("users", "pr-42", AT), OffloadedDeployment("gone", "pr-1", AT)],
)


def judged(*words: str, mesh: Mesh = MESH) -> list[str]:
    """Return what is said of overrides as people type them."""
    return list(explained(mistakes(parse_words(words), mesh)))


@pytest.mark.parametrize(
    "word",
    [
        "users=pr-42",
        "gone=pr-1",  # a deployment whose service is away for now
        "delay.payments=3s",
        "abort.payments=503",
        "config.new-checkout=on",
        "log.users=debug",
        "log.worker=debug",  # nobody calls a worker
        "missing=baseline",
    ],
)
def test_what_the_mesh_has_is_right(word: str) -> None:
    """So are flags, and what services honour that nobody calls."""
    assert judged(word) == []


@pytest.mark.parametrize(
    ("word", "said"),
    [
        ("user=pr-42", "user=pr-42: the mesh has no service user; did you mean users=pr-42?"),
        ("Users=pr-42", "Users=pr-42: the mesh has no service Users; did you mean users=pr-42?"),
        ("users=pr-24", "users=pr-24: users has no deployment pr-24; did you mean users=pr-42?"),
        ("users=main", "users=main: users has no deployment main: it has pr-42"),
        ("payments=pr-42", "payments=pr-42: payments has no deployment pr-42: it has none"),
        ("dely.users=3s", "dely.users=3s: the mesh has no service dely.users; did you mean delay.users=3s?"),
        ("dely.user=3s", "dely.user=3s: the mesh has no service dely.user; did you mean delay.users=3s?"),
        ("confg.flag=on", "confg.flag=on: the mesh has no service confg.flag; did you mean config.flag=on?"),
        ("log.userz=debug", "log.userz=debug: the mesh has no service userz; did you mean log.users=debug?"),
        ("zzz.qqq=on", "zzz.qqq=on: the mesh has no service zzz.qqq: it has db, gone, payments, users"),
        ("delay.zzz=3s", "delay.zzz=3s: the mesh has no service zzz: it has db, gone, payments, users"),
    ],
)
def test_a_mistake_is_explained_with_the_nearest_name(word: str, said: str) -> None:
    """Or with those that there are."""
    assert judged(word) == [said]


def test_what_no_sidecar_reads_cannot_be_overridden() -> None:
    """The message says what to do."""
    why = MESH.services["db"].why_unread
    assert judged("delay.db=3s", "route.db=pr-1", "log.db=debug") == [
        f"delay.db=3s: {why}",
        f"route.db=pr-1: {why}",
    ]


def test_ports_that_an_override_does_not_affect_are_named() -> None:
    """Of services that have others; flags and log levels do not depend on ports."""
    ports = {80: Port(endpoints=AT), 5432: Port(Protocol.TCP, AT)}
    services = [Service("both", AT, ports=ports), Service("users", AT), Service("db", AT, Protocol.TCP)]
    mesh = Mesh.of(services, [OffloadedDeployment("both", "pr-1", AT)], Settings(naming=Naming("shop")))
    words = [
        "both=pr-1",
        "delay.both.shop=3s",
        "log.both=debug",
        "users=pr-2",
        "route.db=x",
        "zzz=y",
        "config.both=1",
    ]
    overrides = parse_words(words)
    why = mesh.services["both"].why_partly_unread
    assert limits(overrides, mesh) == [
        Mistake("route.both", "pr-1", why, ""),
        Mistake("delay.both.shop", "3s", why, ""),
    ]
    assert next(explained(limits(overrides, mesh))) == f"both=pr-1: {why}"
    assert [one.key for one in mistakes(overrides, mesh)] == ["route.users", "route.db", "route.zzz"]


def test_a_mesh_without_services_says_nothing_about_names() -> None:
    """Nothing is known yet."""
    assert judged("user=pr-42", mesh=Mesh()) == []
    assert judged("user=pr-42", mesh=Mesh.of([], [OffloadedDeployment("users", "pr-42", AT)])) == []


def test_mistakes_come_in_the_order_of_their_overrides() -> None:
    """What is right among them is left out."""
    found = mistakes(
        parse_words(["users=pr-24", "payments=pr-42", "users.x=a", "log.users=debug", "log.usrs=x"]), MESH
    )
    assert found == [
        Mistake("route.users", "pr-24", "users has no deployment pr-24", "users=pr-42"),
        Mistake("route.payments", "pr-42", "payments has no deployment pr-42: it has none", ""),
        Mistake("route.users.x", "a", "the mesh has no service users.x", "users=a"),
        Mistake("log.usrs", "x", "the mesh has no service usrs", "log.users=x"),
    ]
    assert [str(one) for one in found[:2]] == [
        "users has no deployment pr-24; did you mean users=pr-42?",
        "payments has no deployment pr-42: it has none",
    ]
    assert Mistake("a", "b", "c").instead == ""


def test_names_are_those_of_the_callers_namespace() -> None:
    """However a service is written; the message has it as it was written."""
    mesh = Mesh.of(
        [Service("users", AT), Service("users.pay", AT)],
        [OffloadedDeployment("users", "pr-1", AT), OffloadedDeployment("users.pay", "pr-2", AT)],
        Settings(naming=Naming("shop")),
    )
    assert judged("users.shop=pr-1", "users.pay.svc=pr-2", mesh=mesh) == []
    assert judged("users.shop=pr-2", mesh=mesh) == [
        "users.shop=pr-2: users has no deployment pr-2; did you mean users.shop=pr-1?"
    ]


def test_long_lists_are_cut() -> None:
    """After eight names."""
    for count, listed in ((9, "a0, a1, a2, a3, a4, a5, a6, a7, ..."), (8, "a0, a1, a2, a3, a4, a5, a6, a7")):
        many = Mesh.of([Service(f"a{number}", AT) for number in reversed(range(count))])
        assert judged("zzz=x", mesh=many) == [f"zzz=x: the mesh has no service zzz: it has {listed}"]


def test_nothing_is_nearest_to_what_nothing_is_like() -> None:
    """Capital letters make no difference."""
    assert nearest("QUEUE", ["users", "queue"]) == "queue"
    assert nearest("zzz", ["users"]) == ""
    assert nearest("users", ["Users", "users", "USERS"]) == "USERS"
    assert nearest("Usres", ["web", "uSers", "user-s"]) == "uSers"
    # Three letters of five: as far as that goes.
    assert (nearest("abcxy", ["abczw"]), nearest("abxyz", ["abcuv"])) == ("abczw", "")


def test_a_mistake_without_a_better_word() -> None:
    """Has an empty one; its key and its value are those of the override."""
    (found,) = mistakes(parse_words(["delay.db=3s"]), MESH)
    assert found == Mistake("delay.db", "3s", MESH.services["db"].why_unread, "")
    (found,) = mistakes(parse_words(["users=pr-24"]), MESH)
    assert found == Mistake("route.users", "pr-24", "users has no deployment pr-24", "users=pr-42")
