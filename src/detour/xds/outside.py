"""The end of a CONNECT tunnel to a host outside the mesh.

Envoy neither reads nor changes what passes through such a tunnel. It resolves the host when the tunnel is opened
(dynamic forward proxy), so a slow DNS server delays no other request.
"""

from envoy.config.cluster.v3 import cluster_pb2
from envoy.extensions.clusters.dynamic_forward_proxy.v3 import cluster_pb2 as forward_proxy_pb2
from google.protobuf.duration_pb2 import Duration
from google.protobuf.json_format import ParseDict

from detour.envoy.transparency import CONNECT_SECONDS
from detour.envoy.vocabulary import OUTSIDE_DNS
from detour.xds.http_options import unlimited
from detour.xds.messages import packed


def outside_tunnel(name: str) -> cluster_pb2.Cluster:
    """Return a cluster that connects to the host and port that the CONNECT names."""
    # Envoy's rule is about TLS that it speaks itself; what goes through a tunnel is bytes.
    forward_proxy = forward_proxy_pb2.ClusterConfig(allow_insecure_cluster_options=True)
    ParseDict(OUTSIDE_DNS, forward_proxy.dns_cache_config)
    return cluster_pb2.Cluster(
        name=name,
        alt_stat_name="outside",
        cluster_type=cluster_pb2.Cluster.CustomClusterType(
            name="envoy.clusters.dynamic_forward_proxy", typed_config=packed(forward_proxy)
        ),
        lb_policy=cluster_pb2.Cluster.CLUSTER_PROVIDED,
        connect_timeout=Duration(seconds=CONNECT_SECONDS),
        circuit_breakers=unlimited(),
    )
