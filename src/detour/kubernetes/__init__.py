"""What all that works with a Kubernetes cluster agrees on: names of its own objects, and which cluster is meant."""
