"""Installing Detour into a cluster without Helm.

Invariant: the chart (`deploy/helm/detour`) is the one source. `chart.yaml` is the chart as Helm renders it, with
placeholders for the values that are chosen later; a test renders it again and compares.
"""

from detour.install.manifests import Choices, manifests

__all__ = ["Choices", "manifests"]
