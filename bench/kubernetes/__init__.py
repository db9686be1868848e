"""What Detour does on a real Kubernetes API server, measured: `python -m bench kubernetes-ready` and its siblings.

The cluster is that of the tests (`tests/kubernetes/cluster`): real etcd, API server and controllers in a network
namespace of their own. Most pods here are bound to a node of another name, so that no kubelet takes them: the bench
writes their status, and plays their instances at addresses of the node. Needs root.
"""
