"""Who calls, and what they may do: one's own machine, API tokens, and an OpenID Connect issuer."""

from detour.access.asker import Asker
from detour.access.claims import IssuerSettings
from detour.access.identity import ForbiddenError, Identity, Role, UnknownCallerError, Via
from detour.access.issuer import Issuer
from detour.access.tokens import ApiToken, NoTokenError, TokenStore

__all__ = [
    "ApiToken",
    "Asker",
    "ForbiddenError",
    "Identity",
    "Issuer",
    "IssuerSettings",
    "NoTokenError",
    "Role",
    "TokenStore",
    "UnknownCallerError",
    "Via",
]
