"""Tokens that permit overrides from outside: JWTs (RFC 7519), signed with Ed25519 (RFC 8037).

The signer and the verifiers share these definitions. A token permits its bearer to use overrides, but does not
contain any: they are in the baggage, as usual.
"""

from dataclasses import dataclass
from datetime import timedelta
from typing import Final

HEADER: Final = "x-detour-token"
"""The request header that contains a token."""

ISSUER: Final = "detour"
AUDIENCE: Final = "detour-edge"
"""The issuer and audience of every token (`iss` and `aud`, RFC 7519, section 4.1)."""

LIFE_MAX: Final = timedelta(hours=1)
"""Maximum lifetime of a token."""

SKEW_MAX: Final = timedelta(seconds=30)
"""Maximum difference between the clocks of a server and an edge."""


@dataclass(frozen=True, slots=True)
class PublicKey:
    """A key with which edges verify tokens.

    Args:
        name: Its key id in tokens (`kid`, RFC 7515, section 4.1.4).
        point: Its 32 bytes, in base64url without padding (`x`, RFC 8037, section 2).
    """

    name: str
    point: str
