"""What is decided about one pod: each reason, each warning, and the bounds of what it may say of itself."""

from typing import Any

import pytest

from detour.injection.plan import Plan, plan
from detour.injection.redirection import Redirection
from detour.injection.settings import InjectionSettings, Mode

TRANSPARENT = InjectionSettings(Mode.TRANSPARENT)


def pod(spec: dict[str, Any] | None = None, **annotations: str) -> dict[str, Any]:
    """Return a pod; annotations are given without their prefix, with underscores."""
    named = {f"detour.dev/{key.replace('_', '-')}": value for key, value in annotations.items()}
    return {"metadata": {"annotations": named}, "spec": {"containers": [{"name": "app"}], **(spec or {})}}


def test_a_pod_that_says_nothing() -> None:
    """Gets what the cluster's settings say, also where it has neither metadata nor containers."""
    assert plan({"spec": {}}, InjectionSettings()) == Plan(Mode.TRANSPARENT, is_auto=True)
    assert plan({"metadata": None, "spec": {"containers": None}}, TRANSPARENT) == Plan(Mode.TRANSPARENT)
    assert plan(pod(), InjectionSettings(Mode.EXPLICIT)) == Plan(Mode.EXPLICIT)


@pytest.mark.parametrize("kind", ["containers", "initContainers"])
def test_a_sidecar_that_is_there_is_found(kind: str) -> None:
    """Among both kinds of containers, behind others."""
    found = plan(pod({kind: [{"name": "a"}, {"name": "detour-sidecar"}]}), InjectionSettings())
    assert (found.has_one, found.injects, found.skipped) == (True, False, "")


@pytest.mark.parametrize(
    ("value", "injects"),
    [("false", False), ("False", False), ("FALSE", False), ("true", True), ("", True), ("no", True)],
)
def test_the_label_that_opts_out(value: str, injects: bool) -> None:
    """In any case of letters; other words mean nothing."""
    given = {"metadata": {"labels": {"detour.dev/inject": value}}, "spec": {}}
    assert plan(given, InjectionSettings()).injects is injects


@pytest.mark.parametrize(
    ("spec", "native", "injects"),
    [
        ({"restartPolicy": "Never"}, False, False),
        ({"restartPolicy": "OnFailure"}, False, False),
        ({"restartPolicy": "Always"}, False, True),
        ({}, False, True),
        ({"restartPolicy": "Never"}, True, True),
        ({"hostNetwork": True}, True, False),
        ({"hostNetwork": False}, True, True),
        ({"os": {"name": "windows"}}, True, False),
        ({"os": {"name": "linux"}}, True, True),
        ({"os": None}, True, True),
    ],
)
def test_which_pods_can_have_a_sidecar(spec: dict[str, Any], native: bool, injects: bool) -> None:
    """A pod that ends needs native ones; a reason is given for each that gets none."""
    found = plan(pod(spec), InjectionSettings(native=native))
    assert (found.injects, bool(found.skipped)) == (injects, not injects)


@pytest.mark.parametrize(
    ("text", "ports"),
    [
        ("1", (1,)),
        ("65535", (65535,)),
        ("0", ()),
        ("65536", ()),
        ("99999", ()),
        ("100000", ()),
        ("-1", ()),
        ("+1", ()),
        ("1.5", ()),
        ("٣", ()),
        ("80,80, 443 ,,80", (80, 443)),
        ("443,x,80", (443, 80)),
        (" , ", ()),
        ("", ()),
    ],
)
def test_ports_that_are_not_redirected(text: str, ports: tuple[int, ...]) -> None:
    """Each once, in their order; a warning for each that is none."""
    found = plan(pod(exclude_outbound_ports=text), TRANSPARENT)
    assert found.redirection == Redirection(exempt_uid=1337, exclude_ports=ports)
    bad = {word.strip() for word in text.split(",") if word.strip()} - {str(port) for port in ports}
    assert [warning.split()[2].strip(":") for warning in found.warnings] == [repr(word) for word in bad]


@pytest.mark.parametrize(
    ("text", "networks"),
    [
        ("10.0.0.0/8", ("10.0.0.0/8",)),
        ("10.0.0.1/8", ("10.0.0.1/8",)),
        ("fd00::/8,10.0.0.7", ("fd00::/8", "10.0.0.7")),
        ("10.0.0.0/33", ()),
        ("example.test", ()),
    ],
)
def test_networks_that_are_not_redirected(text: str, networks: tuple[str, ...]) -> None:
    """An address is a network of its own."""
    found = plan(pod(exclude_outbound_cidrs=text), TRANSPARENT)
    assert (found.redirection.exclude_cidrs, len(found.warnings)) == (networks, 0 if networks else 1)


@pytest.mark.parametrize(
    ("spec", "warns"),
    [
        ({"securityContext": {"runAsUser": 1337}}, True),
        ({"containers": [{"name": "a"}, {"name": "b", "securityContext": {"runAsUser": 1337}}]}, True),
        ({"initContainers": [{"name": "a", "securityContext": {"runAsUser": 1337}}]}, True),
        ({"securityContext": {"runAsUser": 1338}}, False),
        ({"securityContext": None, "containers": [{"name": "a", "securityContext": {}}]}, False),
    ],
)
def test_whoever_runs_as_the_sidecar_is_not_redirected(spec: dict[str, Any], warns: bool) -> None:
    """The pod's owner gets a warning, in transparent mode only."""
    assert ["the sidecar's own user 1337" in one for one in plan(pod(spec), TRANSPARENT).warnings] == [True] * warns
    assert plan(pod(spec), InjectionSettings(Mode.EXPLICIT)).warnings == ()


@pytest.mark.parametrize(
    ("env", "names"),
    [
        (["http_proxy"], "http_proxy"),
        (["HTTP_PROXY", "http_proxy"], "HTTP_PROXY, http_proxy"),
        (["https_proxy", "no_proxy", "HTTPS_PROXY"], ""),
    ],
)
def test_proxies_of_the_pods_own(env: list[str], names: str) -> None:
    """They are named in explicit mode, of init containers too; in transparent mode they do not matter."""
    variables = [{"name": name, "value": "x"} for name in env]
    given = pod(
        {"initContainers": [{"name": "first", "env": variables}], "containers": [{"name": "a", "env": None}]}
    )
    found = plan(given, InjectionSettings(Mode.EXPLICIT)).warnings
    assert [one.startswith(f"container first has an {names} of its own") for one in found] == [True] * bool(names)
    assert plan(given, TRANSPARENT).warnings == ()


@pytest.mark.parametrize(("length", "kept"), [(119, 119), (120, 120), (121, 120), (5000, 120)])
def test_the_reason_of_an_api_server_is_cut(length: int, kept: int) -> None:
    """At 120 characters: what follows has to fit into the warning too."""
    found = plan(pod(), InjectionSettings(refusal="r" * length))
    assert (found.mode, found.is_auto) == (Mode.EXPLICIT, True)
    assert found.warnings[0].startswith(f"explicit mode, because {'r' * kept}. Clients that ignore http_proxy")


@pytest.mark.parametrize(
    ("mode", "given", "expected", "is_auto"),
    [
        (Mode.AUTO, "explicit", Mode.EXPLICIT, False),
        (Mode.AUTO, "transparent", Mode.TRANSPARENT, False),
        (Mode.EXPLICIT, "transparent", Mode.TRANSPARENT, False),
        (Mode.EXPLICIT, "auto", Mode.TRANSPARENT, True),
        (Mode.TRANSPARENT, "explicit", Mode.EXPLICIT, False),
    ],
)
def test_the_mode_that_a_pod_chooses(mode: Mode, given: str, expected: Mode, is_auto: bool) -> None:
    """It wins over the cluster's."""
    assert plan(pod(mode=given), InjectionSettings(mode)) == Plan(expected, is_auto)


@pytest.mark.parametrize(
    ("given", "native", "why"),
    [
        (
            {"metadata": {"labels": {"detour.dev/inject": "false"}}, "spec": {}},
            True,
            "it is labelled detour.dev/inject=false",
        ),
        (
            pod({"hostNetwork": True}),
            True,
            "it uses its node's network (hostNetwork), where all pods of the node share a sidecar's ports",
        ),
        (
            pod({"os": {"name": "windows"}}),
            True,
            "it runs on Windows, which the sidecar's image does not",
        ),
        (
            pod({"restartPolicy": "Never"}),
            False,
            "it runs to completion, and would never end beside an ordinary sidecar: that needs Kubernetes 1.29",
        ),
    ],
)
def test_the_reason_why_a_pod_gets_no_sidecar(given: dict[str, Any], native: bool, why: str) -> None:
    """In full, as its owner reads it; nothing else is decided."""
    assert plan(given, InjectionSettings(native=native)) == Plan(skipped=why)


def test_warnings_in_full() -> None:
    """Those of each mode, in their order."""
    given = pod(
        {
            "containers": [
                {"name": "a", "env": [{"name": "http_proxy"}], "securityContext": {"runAsUser": 1337}},
                {"name": "b", "env": [{"value": "nameless"}, {"name": "HTTP_PROXY"}]},
            ]
        },
        mode="magic",
        exclude_outbound_ports="80,x,y",
        exclude_outbound_cidrs="z",
    )
    unknown = "detour.dev/mode is 'magic', not one of explicit, transparent, auto: "
    assert plan(given, TRANSPARENT).warnings == (
        f"{unknown}transparent it is",
        "detour.dev/exclude-outbound-ports lists 'x': it is left out",
        "detour.dev/exclude-outbound-ports lists 'y': it is left out",
        "detour.dev/exclude-outbound-cidrs lists 'z': it is left out",
        "a container runs as the sidecar's own user 1337: its connections are not redirected",
    )
    left = "of its own: it is left, and what is sent through it does not go through the sidecar"
    ignored = "Clients that ignore http_proxy reach the baseline, whatever their overrides say (docs/kubernetes.md)"
    assert plan(given, InjectionSettings(Mode.AUTO, refusal="no")).warnings == (
        f"{unknown}auto it is",
        f"explicit mode, because no. {ignored}",
        f"container a has an http_proxy {left}",
        f"container b has an HTTP_PROXY {left}",
    )
    assert plan(given, InjectionSettings(Mode.EXPLICIT, refusal="no")).warnings[0] == f"{unknown}explicit it is"
    assert len(plan(given, InjectionSettings(Mode.EXPLICIT, refusal="no")).warnings) == 3


def test_a_plan_by_default() -> None:
    """As for a pod that has a sidecar already, but for that."""
    assert Plan() == Plan(
        mode=Mode.EXPLICIT,
        is_auto=False,
        skipped="",
        has_one=False,
        redirection=Redirection(to_port=15001, exempt_uid=1337, exclude_ports=(), exclude_cidrs=()),
        warnings=(),
    )
    assert plan({"spec": {"containers": [{"name": "detour-sidecar"}]}}, TRANSPARENT) == Plan(has_one=True)
    assert Plan().injects is True
