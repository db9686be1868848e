"""Mutual TLS between a sidecar and the control plane, as plain data in Envoy's JSON form.

Invariant: certificate, key and authorities are read from files, and again when the folder changes, without a
restart. Envoy watches files only for secrets that come through SDS, not for those in its bootstrap. Two files
beside the certificates therefore hold the SDS resources that refer to them (`sds_files`).
"""

import json
from dataclasses import dataclass
from typing import Final

from detour.envoy.connection_manager import Json
from detour.envoy.vocabulary import TYPE

_TLS: Final = TYPE + "envoy.extensions.transport_sockets.tls.v3."
_IDENTITY: Final = "identity"
_AUTHORITY: Final = "authority"


@dataclass(frozen=True, slots=True)
class ClientTls:
    """A sidecar's certificate, and the name that it expects in the control plane's.

    Args:
        folder: Contains `tls.crt`, `tls.key` and `ca.crt` as a Kubernetes Secret has them, and the `sds_files`.
        server_name: The DNS name in the control plane's certificate; by default the host that is connected to.
    """

    folder: str = "/etc/detour/tls"
    server_name: str = ""


def sds_files(tls: ClientTls) -> dict[str, str]:
    """Return the additional files that the folder must contain: names and content."""
    watched = {"watched_directory": {"path": tls.folder}}
    certificate = {"certificate_chain": _file(tls, "tls.crt"), "private_key": _file(tls, "tls.key"), **watched}
    authority = {"trusted_ca": _file(tls, "ca.crt"), **watched}
    return {
        _file_name(_IDENTITY): _discovered(_IDENTITY, tls_certificate=certificate),
        _file_name(_AUTHORITY): _discovered(_AUTHORITY, validation_context=authority),
    }


def client_socket(tls: ClientTls, host: str) -> Json:
    """Return the transport socket of a cluster that is reached at `host` with mutual TLS."""
    name = tls.server_name or host
    # Without this, any certificate of the authority would be accepted, including another sidecar's.
    expected = {"match_typed_subject_alt_names": [{"san_type": "DNS", "matcher": {"exact": name}}]}
    validation = {
        "default_validation_context": expected,
        "validation_context_sds_secret_config": _source(tls, _AUTHORITY),
    }
    common = {
        "tls_certificate_sds_secret_configs": [_source(tls, _IDENTITY)],
        "combined_validation_context": validation,
        "alpn_protocols": ["h2"],
    }
    config = {"@type": f"{_TLS}UpstreamTlsContext", "sni": name, "common_tls_context": common}
    return {"name": "envoy.transport_sockets.tls", "typed_config": config}


def _source(tls: ClientTls, name: str) -> Json:
    path = f"{tls.folder}/{_file_name(name)}"
    watching = {"path": path, "watched_directory": {"path": tls.folder}}
    return {"name": name, "sds_config": {"path_config_source": watching, "resource_api_version": "V3"}}


def _discovered(name: str, **secret: Json) -> str:
    """Return the content of an SDS file with one resource ("xDS protocol", "Filesystem subscriptions")."""
    return json.dumps({"resources": [{"@type": f"{_TLS}Secret", "name": name, **secret}]})


def _file_name(secret: str) -> str:
    return f"{secret}.json"


def _file(tls: ClientTls, name: str) -> Json:
    return {"filename": f"{tls.folder}/{name}"}
