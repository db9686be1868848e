"""What the API server refuses, in words for people."""

from collections.abc import Iterator
from contextlib import contextmanager
from http import HTTPStatus

from detour.kubernetes.errors import ApiError
from detour.offload.kubernetes.errors import ClusterError


@contextmanager
def explained(doing: str, namespace: str) -> Iterator[None]:
    """Explain every failed call of the API server in the body.

    Args:
        doing: What the body does, as in `create Deployments`.
        namespace: Where.

    Raises:
        ClusterError: A call failed.
    """
    try:
        yield
    except ClusterError:
        # Explained already, by a body within this one.
        raise
    except ApiError as error:
        raise ClusterError(_explanation(error, doing, namespace), error.code, error.causes) from error


def _explanation(error: ApiError, doing: str, namespace: str) -> str:
    match error.code:
        case HTTPStatus.FORBIDDEN:
            needed = f"give its ServiceAccount that right ({error})"
            return f"the server may not {doing} in namespace {namespace}: {needed}"
        case HTTPStatus.UNPROCESSABLE_ENTITY:
            return f"Kubernetes does not accept it: {error}"
        case 0:
            return f"could not {doing} in namespace {namespace}: the API server does not answer ({error})"
    return f"could not {doing} in namespace {namespace}: {error}"
