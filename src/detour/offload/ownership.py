"""Whose an offloaded deployment is.

Names are first come, first served. Until there are identities to check, the rule keeps people from each other's
deployments by accident, not by intent.
"""

from detour.mesh import OffloadedDeployment


class OwnedByAnotherError(ValueError):
    """The name is taken by somebody else's deployment; the message names the owner."""


def expect_owner(deployment: OffloadedDeployment, owner: str) -> None:
    """Check that a deployment belongs to who wants to change it.

    Raises:
        OwnedByAnotherError: It is somebody else's.
    """
    if deployment.owner != owner:
        raise OwnedByAnotherError(f"{deployment} belongs to {deployment.owner or 'nobody'}: choose another name")
