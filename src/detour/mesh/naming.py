"""Maps host names to services if services live in namespaces.

As in Kubernetes (DNS for Services and Pods, "Namespaces of Services"), a bare name refers to the caller's own
namespace, and `users.shop`, `users.shop.svc` and `users.shop.svc.cluster.local` are the same service. The mesh uses
one name for it: `users` in the home namespace, `users.pay` in another one.

`service_of` in `detour.envoy`'s service.lua follows the same rules.
"""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Naming:
    """The naming rules of one mesh.

    Args:
        home: The namespace whose services have bare names; empty without namespaces.
        domain: The suffix of fully qualified names.
    """

    home: str = ""
    domain: str = "cluster.local"

    def name(self, service: str, namespace: str) -> str:
        """Return the mesh's name for a service of a namespace."""
        return service if namespace in {self.home, ""} else f"{service}.{namespace}"

    def place(self, name: str) -> tuple[str, str]:
        """Return the service and namespace of a mesh name: the inverse of `name`."""
        service, _, namespace = name.partition(".")
        return service, namespace or self.home

    def canonical(self, host: str, caller: str = "") -> str:
        """Return the name that a service must have for a host name to refer to it.

        Args:
            host: The host name in lower case, without port.
            caller: The caller's namespace; by default the home namespace.
        """
        if not self.home:
            return host
        short = host.removesuffix(".").removesuffix(f".svc.{self.domain}").removesuffix(".svc")
        service, _, namespace = short.partition(".")
        if "." in namespace:
            return host
        return self.name(service, namespace or caller)
