"""Installing Detour into a cluster without Helm.

Invariant: the chart (`deploy/helm/detour`) is the one source. `chart.yaml` is what Helm makes of it, rendered with
names that stand for what is chosen later; a test renders it again and compares.
"""

from detour.install.manifests import Choices, manifests

__all__ = ["Choices", "manifests"]
