"""Offloaded deployments: keeping those that are registered at run time."""
