"""The sources of the mesh: one module for each; every source produces mesh events."""
