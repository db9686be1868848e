"""The configuration of the edges' token filter (ECDS v3; jwt_authn filter v3).

Invariant: no request is refused because of its token. A valid token's claims are stored in the request's metadata,
which clients cannot write to, and routes match on them. When the keys change, this filter alone gets a new
configuration: requests in progress finish with the previous one, and none is lost.
"""

import json
from collections.abc import Iterable
from typing import Final

from envoy.config.core.v3 import base_pb2, extension_pb2
from envoy.config.route.v3 import route_components_pb2 as components_pb2
from envoy.extensions.filters.http.jwt_authn.v3 import config_pb2
from google.protobuf.empty_pb2 import Empty

from detour.envoy.vocabulary import REFUSED, TOKEN_FILTER, VERIFIED
from detour.mesh import Mesh, PublicKey, override_tokens
from detour.xds.messages import duration, packed
from detour.xds.route_parts import ANY_PATH, present

_PROVIDER: Final = "server"


def token_check(name: str, mesh: Mesh) -> extension_pb2.TypedExtensionConfig | None:
    """Return the filter's configuration; None for any other name. Without keys no token is valid."""
    if name != TOKEN_FILTER:
        return None
    config = _checking(mesh.keys) if mesh.keys else config_pb2.JwtAuthentication()
    return extension_pb2.TypedExtensionConfig(name=name, typed_config=packed(config))


def _checking(keys: Iterable[PublicKey]) -> config_pb2.JwtAuthentication:
    provider = config_pb2.JwtProvider(
        issuer=override_tokens.ISSUER,
        audiences=[override_tokens.AUDIENCE],
        require_expiration=True,
        max_lifetime=duration(override_tokens.LIFE_MAX + override_tokens.SKEW_MAX),
        clock_skew_seconds=int(override_tokens.SKEW_MAX.total_seconds()),
        local_jwks=base_pb2.DataSource(inline_string=_jwks(keys)),
        # By default Envoy also reads the Authorization header, which belongs to the application.
        from_headers=[config_pb2.JwtHeader(name=override_tokens.HEADER)],
        payload_in_metadata=VERIFIED,
        failed_status_in_metadata=REFUSED,
        clear_route_cache=True,
    )
    may_fail = config_pb2.JwtRequirement(allow_missing_or_failed=Empty())
    either = [config_pb2.JwtRequirement(provider_name=_PROVIDER), may_fail]
    requires = config_pb2.JwtRequirement(requires_any=config_pb2.JwtRequirementOrList(requirements=either))
    # An edge joins repeated headers with commas; the result is not a token, so the order does not matter.
    match = components_pb2.RouteMatch(prefix=ANY_PATH, headers=[present(override_tokens.HEADER)])
    rule = config_pb2.RequirementRule(match=match, requires=requires)
    return config_pb2.JwtAuthentication(providers={_PROVIDER: provider}, rules=[rule])


def _jwks(keys: Iterable[PublicKey]) -> str:
    """Return the keys as a JWK set (RFC 7517, section 5)."""
    made = [
        {"kty": "OKP", "crv": "Ed25519", "alg": "EdDSA", "use": "sig", "kid": key.name, "x": key.point}
        for key in keys
    ]
    return json.dumps({"keys": made}, sort_keys=True)
