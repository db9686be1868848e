"""Identities inside the mesh: certificates for the server, its webhook and the sidecars, and their renewal.

The identity of a sidecar is its namespace: all pods of a namespace can read the same Secret, so a finer identity
could not be enforced.
"""
