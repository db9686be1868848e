"""The errors of requests to the API.

Invariant: every error is a `ClientError` with a message for people. A `ProblemError` has the problem document that
the server returned (RFC 9457), and its class stands for the HTTP status.
"""

from http import HTTPStatus
from typing import Final

from detour.contract import Problem


class ClientError(RuntimeError):
    """A request to the API did not succeed."""


class UnreachableError(ClientError):
    """No server answers at the address."""


class UntrustedServerError(UnreachableError):
    """The server's certificate is not trusted, or the server does not speak TLS."""


class UnexpectedAnswerError(ClientError):
    """The response does not fit the API: perhaps it does not come from a Detour server."""


class SignInError(ClientError):
    """Signing in failed, or a sign-in has expired."""


class ProblemError(ClientError):
    """The server refused a request, or failed.

    Args:
        problem: The problem document that the server returned.
    """

    def __init__(self, problem: Problem) -> None:
        self.problem = problem
        super().__init__(problem.detail)

    @property
    def status(self) -> int:
        """Return the HTTP status of the response."""
        return self.problem.status


class BadRequestError(ProblemError):
    """400: the server cannot read the request."""


class NotSignedInError(ProblemError):
    """401: the caller is not authenticated; a token is missing, invalid or expired."""


class PermissionDeniedError(ProblemError):
    """403: the caller lacks the permission."""


class NotFoundError(ProblemError):
    """404: a thing that the request names does not exist."""


class MethodNotAllowedError(ProblemError):
    """405: the server does not have this operation; perhaps it is older than the client."""


class ConflictError(ProblemError):
    """409: the request conflicts with the state of the mesh or of the server."""


class GoneError(ProblemError):
    """410: a thing that the request names has expired or was removed."""


class PreconditionFailedError(ProblemError):
    """412: the thing has changed since the client read it."""


class InvalidRequestError(ProblemError):
    """422: the API does not accept a value of the request."""


class PreconditionRequiredError(ProblemError):
    """428: the request does not name the version that it changes."""


class TooManyRequestsError(ProblemError):
    """429: the server already handles the maximum number of such requests."""


class ServerFailedError(ProblemError):
    """5xx: the server failed, or a system that it depends on."""


class NotSupportedError(ServerFailedError):
    """501: the server runs without a part that this operation needs, such as a database."""


class UnavailableError(ServerFailedError):
    """503: the server cannot do this at the moment."""


_BY_STATUS: Final[dict[int, type[ProblemError]]] = {
    HTTPStatus.BAD_REQUEST: BadRequestError,
    HTTPStatus.UNAUTHORIZED: NotSignedInError,
    HTTPStatus.FORBIDDEN: PermissionDeniedError,
    HTTPStatus.NOT_FOUND: NotFoundError,
    HTTPStatus.METHOD_NOT_ALLOWED: MethodNotAllowedError,
    HTTPStatus.CONFLICT: ConflictError,
    HTTPStatus.GONE: GoneError,
    HTTPStatus.PRECONDITION_FAILED: PreconditionFailedError,
    HTTPStatus.UNPROCESSABLE_ENTITY: InvalidRequestError,
    HTTPStatus.PRECONDITION_REQUIRED: PreconditionRequiredError,
    HTTPStatus.TOO_MANY_REQUESTS: TooManyRequestsError,
    HTTPStatus.NOT_IMPLEMENTED: NotSupportedError,
    HTTPStatus.SERVICE_UNAVAILABLE: UnavailableError,
}


def error_of(problem: Problem) -> ProblemError:
    """Return the error for a problem document, of the class for its status."""
    by_default = ServerFailedError if problem.status >= HTTPStatus.INTERNAL_SERVER_ERROR else ProblemError
    return _BY_STATUS.get(problem.status, by_default)(problem)
