"""Which service a host name means, where services live in namespaces.

As in Kubernetes (DNS for Services and Pods, "Namespaces of Services"): a bare name means the caller's own
namespace, and `users.shop`, `users.shop.svc` and `users.shop.svc.cluster.local` are one service. In a mesh it goes
by one name: `users` in the home namespace, `users.pay` in another.

`service_of` in `detour.envoy`'s override.lua follows the same rules.
"""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Naming:
    """The rules of one mesh.

    Args:
        home: The namespace whose services go by their bare names; empty where there are no namespaces.
        domain: What full names end in.
    """

    home: str = ""
    domain: str = "cluster.local"

    def name(self, service: str, namespace: str) -> str:
        """Name a service of a namespace."""
        return service if namespace in {self.home, ""} else f"{service}.{namespace}"

    def place(self, name: str) -> tuple[str, str]:
        """Say which service of which namespace has a name: what `name` made of them."""
        service, _, namespace = name.partition(".")
        return service, namespace or self.home

    def canonical(self, host: str, caller: str = "") -> str:
        """Return the name of the service that a host name would mean, if there is one of that name.

        Args:
            host: In lower case, without port.
            caller: The namespace of who calls; by default the home namespace.
        """
        if not self.home:
            return host
        short = host.removesuffix(".").removesuffix(f".svc.{self.domain}").removesuffix(".svc")
        service, _, namespace = short.partition(".")
        if "." in namespace:
            return host
        return self.name(service, namespace or caller)
