"""What all that works with a Kubernetes cluster agrees on. Pure: no I/O."""
