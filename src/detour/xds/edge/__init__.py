"""What only edges get: their routes, the check of override tokens, their settings, and the order of it all."""
