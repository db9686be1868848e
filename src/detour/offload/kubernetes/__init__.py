"""Offloaded deployments on Kubernetes: copies of the live baseline with another image, and what becomes of them."""
