"""Where meshes come from: one module a source, each of which speaks in mesh events."""
