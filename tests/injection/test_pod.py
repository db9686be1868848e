"""One pod: what it is given in each mode, and that the real Envoy runs on it."""

import asyncio
import json
import re
import subprocess
from copy import deepcopy
from dataclasses import replace

import httpx
import pytest

from detour.envoy import find_envoy
from detour.injection import InjectionSettings, Mode, Resources, SelectingService, inject
from detour.injection.plan import plan
from ports import free_port

POD = {
    "apiVersion": "v1",
    "kind": "Pod",
    "metadata": {"generateName": "users-7d9f8c-", "namespace": "shop"},
    "spec": {"containers": [{"name": "users", "image": "users"}], "initContainers": [{"name": "migrate"}]},
}


def pod(**metadata: object) -> dict:
    """Return the pod with other metadata."""
    return {**deepcopy(POD), "metadata": {**POD["metadata"], **metadata}}


def names(injected: dict, kind: str) -> list[str]:
    """Name its containers."""
    return [one["name"] for one in injected["spec"][kind]]


def variables(container: dict) -> dict[str, str]:
    """Return what a container's variables are set to."""
    return {one["name"]: one["value"] for one in container.get("env", [])}


@pytest.mark.parametrize("mode", Mode)
@pytest.mark.parametrize("native", [True, False])
def test_injecting_twice_is_injecting_once(mode: Mode, native: bool) -> None:
    """And the pod that was given is not changed."""
    given = pod()
    once = inject(given, InjectionSettings(mode, native=native))
    assert once != given == pod()
    assert inject(once, InjectionSettings(mode, native=native)) is once
    assert inject(once, InjectionSettings(native=not native)) is once


def test_a_native_sidecar_comes_before_the_pods_own_init_containers() -> None:
    """Whose requests go through it too, in either mode."""
    assert names(inject(POD, InjectionSettings(Mode.EXPLICIT)), "initContainers") == ["detour-sidecar", "migrate"]
    transparent = inject(POD, InjectionSettings(Mode.TRANSPARENT))
    assert names(transparent, "initContainers") == ["detour-redirect", "detour-sidecar", "migrate"]
    assert names(transparent, "containers") == ["users"]


def test_an_ordinary_sidecar_starts_after_all_init_containers() -> None:
    """They have no proxy variables, and no redirection to a port where nothing listens yet."""
    injected = inject(POD, InjectionSettings(Mode.EXPLICIT, native=False))
    assert names(injected, "containers") == ["detour-sidecar", "users"]
    assert "env" not in injected["spec"]["initContainers"][0]
    assert injected["metadata"]["annotations"]["kubectl.kubernetes.io/default-container"] == "users"
    transparent = inject(POD, InjectionSettings(Mode.TRANSPARENT, native=False))
    assert names(transparent, "initContainers") == ["migrate", "detour-redirect"]


def test_explicit_mode_sets_the_proxy_of_every_container() -> None:
    """But one that has a proxy already keeps it, and the pod's owner gets a warning."""
    given = pod()
    given["spec"]["containers"] += [
        {"name": "own", "env": [{"name": "HTTP_PROXY", "value": "http://proxy.example.test"}]},
        {"name": "half", "env": [{"name": "no_proxy", "value": "here"}]},
    ]
    injected = inject(given, InjectionSettings(Mode.EXPLICIT))
    users, own, half = injected["spec"]["containers"]
    assert variables(users)["http_proxy"] == "http://127.0.0.1:15001"
    assert variables(users)["no_proxy"] == "localhost,127.0.0.1,::1,$(KUBERNETES_SERVICE_HOST)"
    assert own == given["spec"]["containers"][1]
    assert variables(half) == {"no_proxy": "here", "http_proxy": "http://127.0.0.1:15001"}
    assert variables(injected["spec"]["initContainers"][1])["http_proxy"]
    assert [
        warning
        for warning in plan(given, InjectionSettings(Mode.EXPLICIT)).warnings
        if "container own has an HTTP_PROXY" in warning
    ]


def test_transparent_mode_touches_no_container() -> None:
    """The kernel does it all."""
    assert inject(POD, InjectionSettings(Mode.TRANSPARENT))["spec"]["containers"] == POD["spec"]["containers"]


def test_a_pod_chooses_its_mode() -> None:
    """An unknown mode results in a warning, and the default applies."""
    chosen = plan(pod(annotations={"detour.dev/mode": "transparent"}), InjectionSettings())
    assert (chosen.mode, chosen.warnings) == (Mode.TRANSPARENT, ())
    chosen = plan(pod(annotations={"detour.dev/mode": "magic"}), InjectionSettings(Mode.TRANSPARENT))
    assert chosen.mode is Mode.TRANSPARENT
    assert "'magic'" in chosen.warnings[0]


def test_pods_get_transparent_mode_where_the_cluster_admits_it() -> None:
    """Elsewhere explicit mode, and a warning that says why; so does a pod that chooses `auto`."""
    assert (plan(pod(), InjectionSettings()).mode, plan(pod(), InjectionSettings()).warnings) == (
        Mode.TRANSPARENT,
        (),
    )
    refused = InjectionSettings(refusal='the API server says: violates PodSecurity "baseline:latest"')
    for given, settings in (
        (pod(), refused),
        (pod(annotations={"detour.dev/mode": "auto"}), replace(refused, mode=Mode.TRANSPARENT)),
    ):
        chosen = plan(given, settings)
        assert chosen.mode is Mode.EXPLICIT
        assert 'violates PodSecurity "baseline:latest"' in chosen.warnings[0]
        assert "ignore http_proxy" in chosen.warnings[0]
    chosen = plan(pod(annotations={"detour.dev/mode": "transparent"}), refused)
    assert (chosen.mode, chosen.warnings) == (Mode.TRANSPARENT, ())


def test_what_a_pod_excludes_reaches_the_rules() -> None:
    """Invalid ports and networks result in a warning; the pod must start all the same."""
    excluded = {
        "detour.dev/exclude-outbound-ports": "3306, 0,x,٣",
        "detour.dev/exclude-outbound-cidrs": "10.0.0.0/8,y",
    }
    given = pod(annotations=excluded)
    arguments = inject(given, InjectionSettings(Mode.TRANSPARENT))["spec"]["initContainers"][0]["args"]
    assert arguments == [
        "redirect",
        "--to-port=15001",
        "--exempt-uid=1337",
        "--exclude-port=3306",
        "--exclude-cidr=10.0.0.0/8",
    ]
    assert len(plan(given, InjectionSettings(Mode.TRANSPARENT)).warnings) == 4


def test_the_sidecar_is_named_by_the_service_that_selects_its_pod() -> None:
    """Not by the label `app`."""
    given = pod(labels={"app": "backend", "role": "api"})
    services = (SelectingService("users", {"role": "api"}),)
    for settings, name in ((InjectionSettings(services=services), "users"), (InjectionSettings(), "users-7d9f8c")):
        (sidecar,) = [one for one in inject(given, settings)["spec"]["initContainers"] if "ports" in one]
        assert json.loads(sidecar["args"][1])["node"]["cluster"] == name


def test_a_pod_chooses_its_sidecars_resources_image_and_log_level() -> None:
    """Annotations take precedence over the settings."""
    chosen = {
        "detour.dev/sidecar-cpu-limit": "none",
        "detour.dev/sidecar-memory-request": "100Mi",
        "detour.dev/sidecar-image": "registry.test/envoy:1",
        "detour.dev/sidecar-log-level": "debug",
    }
    injected = inject(pod(annotations=chosen), InjectionSettings(Mode.TRANSPARENT))
    redirect, sidecar, _ = injected["spec"]["initContainers"]
    assert (
        sidecar["resources"]
        == redirect["resources"]
        == {
            "requests": {"cpu": "50m", "memory": "100Mi"},
            "limits": {"memory": "256Mi"},
        }
    )
    assert (sidecar["image"], redirect["image"]) == ("registry.test/envoy:1", "detour:latest")
    assert sidecar["args"][sidecar["args"].index("--log-level") + 1] == "debug"


@pytest.mark.parametrize(
    ("annotation", "value"),
    [("sidecar-cpu-limit", "much"), ("sidecar-log-level", "loud"), ("sidecar-cpu-request", "")],
)
def test_what_a_pod_cannot_choose_is_a_warning(annotation: str, value: str) -> None:
    """And the settings apply."""
    chosen = plan(pod(annotations={f"detour.dev/{annotation}": value}), InjectionSettings())
    assert (chosen.resources, chosen.log_level) == (Resources(), "warning")
    (warning,) = chosen.warnings
    assert warning.startswith(f"detour.dev/{annotation} is {value!r}, not ")


def test_limit_ranges_bound_the_settings_but_not_what_the_pod_chooses() -> None:
    """Where they leave no room, the pod gets no sidecar, and starts."""
    bounded = InjectionSettings(
        limit_ranges=({"spec": {"limits": [{"type": "Container", "max": {"cpu": "200m"}}]}},)
    )
    assert plan(pod(), bounded).resources == Resources(cpu_limit="200m")
    chosen = plan(pod(annotations={"detour.dev/sidecar-cpu-limit": "1"}), bounded)
    assert chosen.resources == Resources(cpu_limit="1")
    full = InjectionSettings(limit_ranges=({"spec": {"limits": [{"type": "Pod", "max": {"memory": "1Mi"}}]}},))
    assert "no room for a sidecar" in plan(pod(), full).skipped


@pytest.mark.parametrize(
    ("spec", "words"),
    [
        ({"hostNetwork": True}, "hostNetwork"),
        ({"os": {"name": "windows"}}, "Windows"),
    ],
)
def test_pods_that_can_have_no_sidecar_are_left_alone(spec: dict, words: str) -> None:
    """And the reason is known."""
    given = {**pod(), "spec": {**POD["spec"], **spec}}
    assert inject(given, InjectionSettings()) is given
    assert words in plan(given, InjectionSettings()).skipped


def test_a_pod_may_opt_out() -> None:
    """By its label."""
    given = pod(labels={"detour.dev/inject": "false"})
    assert inject(given, InjectionSettings()) is given


def test_a_pod_starts_also_before_it_has_an_identity() -> None:
    """Its Secret is optional, for a service must not wait for Detour; without TLS none is mentioned."""
    volume = inject(POD, InjectionSettings())["spec"]["volumes"][-1]
    assert volume["projected"]["sources"][0]["secret"]["optional"] is True
    assert "volumes" not in inject(POD, InjectionSettings(tls=False))["spec"]


def expanded(text: str, values: dict[str, str]) -> str:
    """Replace variables in an argument as Kubernetes does: `$$` is `$`, and what is not known stays."""

    def one(match: re.Match[str]) -> str:
        return "$" if match[0] == "$$" else values.get(match[1], match[0])

    return re.sub(r"\$\$|\$\(([^)]*)\)", one, text)


@pytest.mark.parametrize("mode", Mode)
async def test_the_real_envoy_runs_on_the_containers_arguments(mode: Mode) -> None:
    """With the variables replaced: its startup probe succeeds, and it is known by the pod's name."""
    sidecar = inject(POD, InjectionSettings(mode, tls=False, control_plane="127.0.0.1:9"))["spec"]["initContainers"]
    container = next(one for one in sidecar if one["name"] == "detour-sidecar")
    values = {"POD_NAME": "users-7d9f8c-x2x4z", "POD_NAMESPACE": "shop", "POD_IP": "127.0.0.1"}
    arguments = [expanded(argument, values) for argument in container["args"]]
    # The pod's ports, on a machine that others use too.
    free = {port: str(free_port()) for port in ("15000", "15001", "15003")}
    arguments = [re.sub("15000|15001|15003", lambda match: free[match[0]], argument) for argument in arguments]
    process = subprocess.Popen([str(find_envoy()), *arguments], stderr=subprocess.DEVNULL)
    try:
        async with httpx.AsyncClient(trust_env=False) as kubelet:
            probe = container["startupProbe"]["httpGet"]
            async with asyncio.timeout(30):
                while not await succeeds(kubelet, f"http://127.0.0.1:{free[str(probe['port'])]}{probe['path']}"):
                    assert process.poll() is None
                    await asyncio.sleep(0.05)
            node = (await kubelet.get(f"http://127.0.0.1:{free['15000']}/server_info")).json()["node"]
        assert (node["id"], node["cluster"]) == ("users-7d9f8c-x2x4z", "users-7d9f8c")
        assert node["metadata"]["namespace"] == "shop"
    finally:
        process.terminate()
        process.wait(10)


async def succeeds(kubelet: httpx.AsyncClient, url: str) -> bool:
    """Probe once."""
    try:
        return (await kubelet.get(url)).status_code == 200
    except httpx.TransportError:
        return False


def test_a_sidecar_says_which_deployment_it_is_part_of() -> None:
    """As the pod's labels have it; a baseline's says nothing."""
    offloaded = pod(labels={"detour.dev/service": "users", "detour.dev/offloaded": "pr-42"})
    for given, deployment in ((offloaded, "pr-42"), (pod(), None)):
        (sidecar,) = [
            one
            for one in inject(given, InjectionSettings(Mode.EXPLICIT))["spec"]["initContainers"]
            if "args" in one
        ]
        assert json.loads(sidecar["args"][1])["node"]["metadata"].get("deployment") == deployment


def test_a_pod_with_its_volumes_and_annotations() -> None:
    """Keeps them, before those of the sidecar; its own values win."""
    given = pod(annotations={"detour.dev/sds-identity": "own", "team": "people"})
    given["spec"]["volumes"] = [{"name": "config"}]
    injected = inject(given, InjectionSettings(Mode.EXPLICIT, native=False))
    assert [one["name"] for one in injected["spec"]["volumes"]] == ["config", "detour-tls"]
    annotations = injected["metadata"]["annotations"]
    assert (annotations["detour.dev/sds-identity"], annotations["team"]) == ("own", "people")
    assert set(annotations) == {
        "detour.dev/sds-identity",
        "detour.dev/sds-authority",
        "team",
        "kubectl.kubernetes.io/default-container",
    }
    assert injected["metadata"]["namespace"] == "shop"


def test_a_pod_of_which_little_is_known() -> None:
    """Neither metadata nor containers; without TLS nothing is added to its metadata."""
    bare = {"metadata": None, "spec": {"containers": None, "initContainers": None, "volumes": None}}
    native = inject(bare, InjectionSettings(Mode.EXPLICIT))
    assert names(native, "initContainers") == ["detour-sidecar"]
    assert set(native["metadata"]) == {"annotations"}
    assert inject(bare, InjectionSettings(Mode.EXPLICIT, tls=False))["metadata"] is None
    ordinary = inject(bare, InjectionSettings(Mode.TRANSPARENT, native=False, tls=False))
    assert names(ordinary, "containers") == ["detour-sidecar"]
    assert names(ordinary, "initContainers") == ["detour-redirect"]
    assert ordinary["metadata"] is None
    nameless = {"spec": {"containers": [{"image": "a"}, {"image": "b"}]}}
    annotations = inject(nameless, InjectionSettings(Mode.EXPLICIT, native=False, tls=False))["metadata"][
        "annotations"
    ]
    assert annotations == {"kubectl.kubernetes.io/default-container": ""}


def test_the_service_and_deployment_of_a_sidecar() -> None:
    """Both come from labels of the pod."""
    given = pod(labels={"detour.dev/service": "users", "detour.dev/offloaded": "pr-42"})
    (sidecar, *_) = inject(given, InjectionSettings(Mode.EXPLICIT))["spec"]["initContainers"]
    node = json.loads(sidecar["args"][1])["node"]
    assert (node["cluster"], node["metadata"]["deployment"]) == ("users", "pr-42")
