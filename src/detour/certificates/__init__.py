"""Who is who inside the mesh: certificates for the server, its webhook and the sidecars, and their renewal.

A sidecar's identity is its namespace's: any pod there can read the same Secret, so nothing finer would be true.
"""
