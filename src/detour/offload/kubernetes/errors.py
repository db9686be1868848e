"""What can go wrong with a deployment in a cluster, in words for people."""

from detour.kubernetes.errors import ApiError


class CannotCopyError(ValueError):
    """The deployment can't be made as requested; the message says why, and what to do."""


class ClusterError(ApiError):
    """The cluster refused, or did not answer; the message says what failed, and what to do."""
