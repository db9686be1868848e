"""The ownership of offloaded deployments.

A name belongs to the first user who takes it. Without sign-in this protects other users' deployments from
accidents, not from intent.
"""

from detour.mesh import OffloadedDeployment


class OwnedByAnotherError(ValueError):
    """The name belongs to another user's deployment; the message names the owner."""


def expect_owner(deployment: OffloadedDeployment, owner: str) -> None:
    """Check that a deployment belongs to the user who wants to change it.

    Raises:
        OwnedByAnotherError: It belongs to another user.
    """
    if deployment.owner != owner:
        owned = f"belongs to {deployment.owner}" if deployment.owner else "exists, without an owner"
        raise OwnedByAnotherError(f"{deployment} {owned}: choose another name")
