"""What only edges use: their routes, token check and settings, and the send order of routes and clusters."""
