"""The sidecar's container and volume: its configuration for the control plane, and its rights."""

import json
import re
from typing import Any

import pytest

from detour.injection.plan import Plan
from detour.injection.redirection import Redirection
from detour.injection.resources import Resources
from detour.injection.settings import LOG_LEVELS, InjectionSettings, Mode
from detour.injection.sidecar import redirect_container, sds_annotations, sidecar_container, tls_volume

TLS = "type.googleapis.com/envoy.extensions.transport_sockets.tls.v3."
FOLDER = "/etc/detour/tls"


def bootstrap(settings: InjectionSettings, **chosen: Any) -> dict[str, Any]:
    """Return the bootstrap in the sidecar's arguments."""
    container = sidecar_container("users", "pr-42", Plan(**chosen), settings)
    return json.loads(container["args"][1])


def control_plane(settings: InjectionSettings) -> dict[str, Any]:
    """Return the cluster by which the sidecar reaches its control plane."""
    (found,) = [
        one for one in bootstrap(settings)["static_resources"]["clusters"] if one["name"] == "@control-plane"
    ]
    return found


def endpoint(cluster: dict[str, Any]) -> dict[str, Any]:
    """Return where a cluster leads."""
    (group,) = cluster["load_assignment"]["endpoints"]
    (one,) = group["lb_endpoints"]
    return one["endpoint"]["address"]["socket_address"]


def socket(server_name: str) -> dict[str, Any]:
    """Return the transport socket of mutual TLS with a server of that name."""

    def source(name: str) -> dict[str, Any]:
        watched = {"path": f"{FOLDER}/{name}.json", "watched_directory": {"path": FOLDER}}
        return {"name": name, "sds_config": {"path_config_source": watched, "resource_api_version": "V3"}}

    named = [{"san_type": "DNS", "matcher": {"exact": server_name}}]
    return {
        "name": "envoy.transport_sockets.tls",
        "typed_config": {
            "@type": f"{TLS}UpstreamTlsContext",
            "sni": server_name,
            "common_tls_context": {
                "tls_certificate_sds_secret_configs": [source("identity")],
                "combined_validation_context": {
                    "default_validation_context": {"match_typed_subject_alt_names": named},
                    "validation_context_sds_secret_config": source("authority"),
                },
                "alpn_protocols": ["h2"],
            },
        },
    }


@pytest.mark.parametrize(
    ("settings", "address", "port", "server_name"),
    [
        (InjectionSettings(), "detour.detour.svc", 15010, "detour.detour.svc"),
        (InjectionSettings(control_plane="detour.infra.svc:9"), "detour.infra.svc", 9, "detour.infra.svc"),
        (InjectionSettings(control_plane="10.0.0.1:15010", tls_server_name="a.test"), "10.0.0.1", 15010, "a.test"),
        (InjectionSettings(control_plane="[fd00::1]:15010", tls_server_name="a.test"), "fd00::1", 15010, "a.test"),
        (InjectionSettings(control_plane="10.0.0.1:15010", tls=False), "10.0.0.1", 15010, None),
    ],
)
def test_the_control_plane_is_where_the_settings_say(
    settings: InjectionSettings, address: str, port: int, server_name: str | None
) -> None:
    """Only a certificate of that name is accepted; without TLS there is none."""
    found = control_plane(settings)
    assert endpoint(found) == {"address": address, "port_value": port}
    assert found.get("transport_socket") == (socket(server_name) if server_name else None)


@pytest.mark.parametrize("mode", [Mode.EXPLICIT, Mode.TRANSPARENT])
def test_everything_that_a_sidecar_asks_and_reports_goes_to_the_control_plane(mode: Mode) -> None:
    """Its resources, its load reports and its hops; and it says who it is."""
    made = bootstrap(InjectionSettings(), mode=mode)
    used = re.findall(r'"envoy_grpc": {"cluster_name": "([^"]*)"', json.dumps(made))
    assert set(used) == {"@control-plane"}
    assert len(used) >= 3
    node = made["node"]
    assert (node["id"], node["cluster"]) == ("$(POD_NAME)", "users")
    assert node["metadata"]["namespace"] == "$(POD_NAMESPACE)"
    assert node["metadata"]["deployment"] == "pr-42"
    assert node["metadata"]["role"] == "sidecar"
    assert node["metadata"]["ports"] == [15000, 15001, 15003]


@pytest.mark.parametrize(
    ("chosen", "listeners"),
    [
        ({"mode": Mode.EXPLICIT}, {"outbound": ("127.0.0.1", 15001)}),
        (
            {"mode": Mode.TRANSPARENT, "redirection": Redirection(to_port=15009)},
            {"transparent": ("127.0.0.1", 15009)},
        ),
    ],
)
def test_where_a_sidecar_listens(chosen: dict[str, Any], listeners: dict[str, tuple[str, int]]) -> None:
    """For its application on loopback, and for the kubelet at the pod's address; no other peer reaches it."""
    found = {
        one["name"]: (at["address"], at["port_value"])
        for one in bootstrap(InjectionSettings(), **chosen)["static_resources"]["listeners"]
        if (at := one.get("address", {}).get("socket_address"))
    }
    assert found == {**listeners, "probe": ("$(POD_IP)", 15003), "admin": ("127.0.0.1", 15000)}


def test_the_identity_comes_from_the_secret_of_the_settings() -> None:
    """Where it is missing the pod starts all the same; the files that name it come from the pod's annotations."""
    assert tls_volume(InjectionSettings(tls_secret="own-tls")) == {
        "name": "detour-tls",
        "projected": {
            "defaultMode": 0o444,
            "sources": [
                {
                    "secret": {
                        "name": "own-tls",
                        "optional": True,
                        "items": [
                            {"key": "tls.crt", "path": "tls.crt"},
                            {"key": "tls.key", "path": "tls.key"},
                            {"key": "ca.crt", "path": "ca.crt"},
                        ],
                    }
                },
                {
                    "downwardAPI": {
                        "items": [
                            {
                                "path": f"{name}.json",
                                "fieldRef": {
                                    "apiVersion": "v1",
                                    "fieldPath": f"metadata.annotations['detour.dev/sds-{name}']",
                                },
                            }
                            for name in ("identity", "authority")
                        ]
                    }
                },
            ],
        },
    }


def test_the_annotations_name_the_files_of_the_secret() -> None:
    """As Envoy reads secrets from files: one resource in each, which is watched with its folder."""
    watched = {"watched_directory": {"path": FOLDER}}
    identity, authority = (json.loads(text) for text in sds_annotations().values())
    assert list(sds_annotations()) == ["detour.dev/sds-identity", "detour.dev/sds-authority"]
    assert identity["resources"] == [
        {
            "@type": f"{TLS}Secret",
            "name": "identity",
            "tls_certificate": {
                "certificate_chain": {"filename": f"{FOLDER}/tls.crt"},
                "private_key": {"filename": f"{FOLDER}/tls.key"},
                **watched,
            },
        }
    ]
    assert authority["resources"] == [
        {
            "@type": f"{TLS}Secret",
            "name": "authority",
            "validation_context": {"trusted_ca": {"filename": f"{FOLDER}/ca.crt"}, **watched},
        }
    ]


def test_the_redirection_has_the_rights_that_it_needs_and_no_others() -> None:
    """Its image, its arguments and its resources are those of the settings and the pod."""
    chosen = Plan(
        Mode.TRANSPARENT,
        redirection=Redirection(exclude_ports=(3306,)),
        resources=Resources(cpu_request="", memory_limit="1Gi", cpu_limit="", memory_request=""),
    )
    settings = InjectionSettings(detour_image="own/detour:1")
    assert redirect_container(chosen, settings) == {
        "name": "detour-redirect",
        "image": "own/detour:1",
        "command": ["detour"],
        "args": ["redirect", "--to-port=15001", "--exempt-uid=1337", "--exclude-port=3306"],
        "resources": {"requests": {}, "limits": {"memory": "1Gi"}},
        "securityContext": {
            "allowPrivilegeEscalation": False,
            "capabilities": {"add": ["NET_ADMIN", "NET_RAW"], "drop": ["ALL"]},
            "privileged": False,
            "readOnlyRootFilesystem": True,
            "runAsGroup": 0,
            "runAsNonRoot": False,
            "runAsUser": 0,
            "seccompProfile": {"type": "RuntimeDefault"},
        },
    }


def test_what_is_no_variable_of_the_pod_reaches_envoy_as_it_is() -> None:
    """Kubernetes replaces `$(NAME)`, and takes `$$` for `$`: names of services are none of its business."""
    container = sidecar_container("$(HOME)", "", Plan(), InjectionSettings(control_plane="$(POD_IP).test:1"))
    assert '"cluster":"$$(HOME)"' in container["args"][1]
    assert '"address":"$(POD_IP).test"' in container["args"][1]


HOLD = """\
for attempt in {1..300}; do
  (exec 3<>/dev/tcp/$POD_IP/15003) 2>/dev/null && exit 0
  sleep 0.2
done
exit 1
"""

LAST = """\
in_use() {
  while read -r _ _ _ state _ _ _ user _; do
    [[ $user != 1337 && $state =~ ^(01|02|03|08|0A)$ ]] && return 0
  done < <(cat /proc/net/tcp /proc/net/tcp6 2>/dev/null)
  return 1
}
while in_use; do sleep 0.2; done
"""


def of_pod(name: str, path: str) -> dict[str, Any]:
    """Return a variable that Kubernetes sets from the pod."""
    return {"name": name, "valueFrom": {"fieldRef": {"apiVersion": "v1", "fieldPath": path}}}


@pytest.mark.parametrize("native", [True, False])
@pytest.mark.parametrize("tls", [True, False])
def test_the_sidecar_field_by_field(native: bool, tls: bool) -> None:
    """A native one is restarted by Kubernetes; an ordinary one has hooks. It has no rights."""
    chosen = Plan(image="own/envoy:1", resources=Resources("1m", "2Mi", cpu_limit=""))
    found = sidecar_container("users", "", chosen, InjectionSettings(native=native, tls=tls))
    arguments = found.pop("args")
    assert (arguments[0], arguments[2:]) == (
        "--config-yaml",
        ["--concurrency", "1", "--log-level", "warning", "--disable-hot-restart"],
    )
    assert arguments[1].startswith('{"node":{')
    hooks = {
        "postStart": {"exec": {"command": ["bash", "-c", HOLD]}},
        "preStop": {"exec": {"command": ["bash", "-c", LAST]}},
    }
    mount = {"name": "detour-tls", "mountPath": "/etc/detour/tls", "readOnly": True}
    assert found == {
        "name": "detour-sidecar",
        "image": "own/envoy:1",
        "command": ["envoy"],
        "env": [
            of_pod("POD_NAME", "metadata.name"),
            of_pod("POD_NAMESPACE", "metadata.namespace"),
            of_pod("POD_IP", "status.podIP"),
        ],
        "ports": [{"name": "detour-probe", "containerPort": 15003, "protocol": "TCP"}],
        "resources": {"requests": {"cpu": "1m", "memory": "2Mi"}, "limits": {"memory": "256Mi"}},
        "securityContext": {
            "allowPrivilegeEscalation": False,
            "capabilities": {"drop": ["ALL"]},
            "privileged": False,
            "readOnlyRootFilesystem": True,
            "runAsGroup": 1337,
            "runAsNonRoot": True,
            "runAsUser": 1337,
            "seccompProfile": {"type": "RuntimeDefault"},
        },
        "startupProbe": {
            "httpGet": {"path": "/ready", "port": 15003, "scheme": "HTTP"},
            "periodSeconds": 1,
            "failureThreshold": 60,
        },
        **({"restartPolicy": "Always"} if native else {"lifecycle": hooks}),
        **({"volumeMounts": [mount]} if tls else {}),
    }


def test_settings_by_default() -> None:
    """Those of the chart; `docs/kubernetes.md` names them."""
    assert InjectionSettings() == InjectionSettings(
        mode=Mode.AUTO,
        refusal="",
        control_plane="detour.detour.svc:15010",
        tls=True,
        tls_secret="detour-sidecar-tls",
        tls_server_name="",
        native=True,
        envoy_image="envoyproxy/envoy:v1.40.0",
        detour_image="detour:latest",
        resources=Resources(cpu_request="50m", memory_request="64Mi", cpu_limit="500m", memory_limit="256Mi"),
        log_level="warning",
        services=(),
        limit_ranges=(),
    )
    assert LOG_LEVELS == ("trace", "debug", "info", "warning", "error", "critical", "off")
    assert list(Mode) == ["explicit", "transparent", "auto"]


def test_only_variables_of_the_pod_are_replaced() -> None:
    """All three of them."""
    settings = InjectionSettings(control_plane="$(POD_IP).$(POD_NAME).$(POD_NAMESPACE).$$(X).test:1")
    text = sidecar_container("users", "", Plan(), settings)["args"][1]
    assert '"address":"$(POD_IP).$(POD_NAME).$(POD_NAMESPACE).$$$$(X).test"' in text
