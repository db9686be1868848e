"""What a token is with which overrides from outside count: a JWT (RFC 7519), signed with Ed25519 (RFC 8037).

Who signs tokens and who checks them agree here. A token says that its bearer may choose, not what: the overrides
stand in the baggage, as anywhere.
"""

from dataclasses import dataclass
from datetime import timedelta
from typing import Final

HEADER: Final = "x-detour-token"
"""The header of a request that carries one."""

ISSUER: Final = "detour"
AUDIENCE: Final = "detour-edge"
"""What every token says of itself (`iss` and `aud`, RFC 7519, section 4.1)."""

LIFE_MAX: Final = timedelta(hours=1)
"""How long one may be good for."""

SKEW_MAX: Final = timedelta(seconds=30)
"""By how much the clocks of a server and an edge may differ."""


@dataclass(frozen=True, slots=True)
class PublicKey:
    """A key by which edges check tokens.

    Args:
        name: What a token calls it (`kid`, RFC 7515, section 4.1.4).
        point: Its 32 bytes, in base64url without padding (`x`, RFC 8037, section 2).
    """

    name: str
    point: str
